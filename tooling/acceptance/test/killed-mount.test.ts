/** That a process may be killed between any two steps of making, mounting, unmounting and removing a layer. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import btrfs from '@graphdriver/btrfs'
import { type Driver, type DriverDefinition, hostOf, type LayerId, parseLayerId } from '@graphdriver/core'
import { mountsBelow } from '@graphdriver/core/conformance'
import overlay from '@graphdriver/overlay'
import overlay2 from '@graphdriver/overlay2'
import vfs from '@graphdriver/vfs'
import {
  filesystem,
  type FilesystemKind,
  filesystemRequirements,
  killAtEachCall,
  killRequirement,
  need,
} from '@tooling/lab'
import { describe, expect, test } from 'vitest'

const victim = fileURLToPath(new URL('../src/mount-victim.ts', import.meta.url))
const [base, image, layer, made] = ['base', 'image', 'layer', 'made'].map(parseLayerId) as [
  LayerId,
  LayerId,
  LayerId,
  LayerId,
]
/** Every call by which a layer, a mount or a name changes; aufs, whose layers change their format, has its own test. */
const calls = ['mkdir', 'rmdir', 'symlink', 'rename', 'renameat2', 'unlink', 'mount', 'umount2', 'fsmount']

async function make(driver: Driver): Promise<void> {
  await driver.create(base)
  await within(driver, base, (root) => {
    mkdirSync(`${root}/d`)
    for (const name of ['a', 'd/b']) writeFileSync(`${root}/${name}`, name)
  })
  await driver.create(image, { parent: base })
  await within(driver, image, (root) => {
    rmSync(`${root}/a`)
    writeFileSync(`${root}/c`, 'c')
  })
  await driver.createReadWrite(layer, { parent: image })
}

async function within<T>(driver: Driver, id: LayerId, use: (root: string) => T): Promise<T> {
  await using mount = await driver.get(id)
  return use(mount.path)
}

function treeOf(root: string): readonly string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .map((entry) => path.join(path.relative(root, entry.parentPath), entry.name))
    .toSorted((a, b) => (a < b ? -1 : 1))
}

/** What a dead process has mounted counts as held, once. */
async function putAll(driver: Driver): Promise<void> {
  for (const id of [layer, made]) {
    if (mountsBelow(driver.home).some((target) => target.includes(`/${id}`))) await driver.put(id)
  }
}

async function examine(definition: DriverDefinition, root: string, where: string): Promise<void> {
  await using driver = await definition.open(hostOf(definition, { root }))
  await putAll(driver)
  expect([where, await within(driver, base, treeOf)]).toEqual([where, ['a', 'd', 'd/b']])
  expect([where, await within(driver, image, treeOf)]).toEqual([where, ['c', 'd', 'd/b']])
  const seen = await within(driver, layer, (tree) => {
    expect(readFileSync(`${tree}/d/b`, 'utf8')).toBe('d/b')
    return treeOf(tree).filter((name) => name !== 'new')
  })
  expect([where, seen]).toEqual([where, ['c', 'd', 'd/b']])
  await driver.remove(made)
  await driver.createReadWrite(made, { parent: image })
  expect([where, await within(driver, made, treeOf)]).toEqual([where, ['c', 'd', 'd/b']])
  await driver.remove(made)
  const names = readdirSync(driver.home, { recursive: true, encoding: 'utf8' })
  expect([
    where,
    names.filter((name) => name.includes('.graphdriver-layer-') || name.includes('made')),
  ]).toEqual([where, []])
  expect([where, mountsBelow(driver.home)]).toEqual([where, []])
}

const subjects: readonly (readonly [DriverDefinition, FilesystemKind, least: number])[] = [
  [vfs, 'ext4', 3],
  [overlay, 'ext4', 10],
  [overlay2, 'ext4', 10],
  [btrfs, 'btrfs', 2],
]

for (const [definition, kind, least] of subjects) {
  const skipped = need(killRequirement, ...filesystemRequirements(kind))
  describe.skipIf(skipped !== undefined)(`${definition.name} (${skipped ?? 'as root'})`, () => {
    test('goes on from wherever a process was killed, and has lost no layer', async () => {
      await using volume = await filesystem(kind, { sizeMiB: 512, storage: 'memory' })
      {
        await using driver = await definition.open(hostOf(definition, { root: volume.path }))
        await make(driver)
      }
      const command = [victim, volume.path, definition.name]
      const killed = await killAtEachCall(
        command,
        calls,
        () => Promise.resolve(),
        (where) => examine(definition, volume.path, where),
      )
      expect(killed).toBeGreaterThanOrEqual(least)
    }, 240_000)
  })
}
