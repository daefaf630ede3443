/** What dockerd writes and expects to find, name by name, and what is never written through a hard link. */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { inChunks, rawTar, type RawEntry } from '@graphdriver/core/conformance'
import type { Driver, LayerId } from '@graphdriver/core'
import { describe, expect, test } from 'vitest'
import { homeOf, id, missing, openAt, openOn } from './open.ts'

const skipped = missing('ext4', 'tmpfs')

function modeOf(file: string): string {
  return (lstatSync(file).mode & 0o7777).toString(8)
}

async function apply(
  driver: Driver,
  name: string,
  parent: LayerId | undefined,
  ...entries: readonly RawEntry[]
): Promise<LayerId> {
  await driver.create(id(name), { parent })
  await driver.applyDiff(id(name), parent, inChunks(rawTar(...entries)))
  return id(name)
}

describe.skipIf(skipped !== undefined)(`overlay on disk (${skipped ?? 'as root'})`, () => {
  test('names and modes are Docker’s, whatever the umask', async () => {
    const before = process.umask(0o077)
    try {
      await using place = await openOn('tmpfs')
      const { driver, root } = place
      const base = await apply(driver, 'base', undefined, { name: 'f', data: 'f' })
      await driver.createReadWrite(id('init'), { parent: base })
      await driver.createReadWrite(id('container'), { parent: id('init') })
      const at = (name: string): string => path.join(homeOf(root), name)
      expect(
        ['', 'base', 'base/root', 'container', 'container/upper', 'container/work'].map((name) =>
          modeOf(at(name)),
        ),
      ).toEqual(['710', '710', '755', '710', '755', '700'])
      expect(readdirSync(at('container')).toSorted()).toEqual(['lower-id', 'upper', 'work'])
      // Both stand on the image layer, and the file ends without a newline.
      expect(['init', 'container'].map((name) => readFileSync(at(`${name}/lower-id`), 'utf8'))).toEqual([
        'base',
        'base',
      ])
      expect(modeOf(at('init/lower-id'))).toBe('600')
      {
        await using mount = await driver.get(id('container'))
        expect(mount.path).toBe(at('container/merged'))
      }
      expect(existsSync(at('container/merged'))).toBe(false)
    } finally {
      process.umask(before)
    }
  })

  test('an image layer is a whole tree whose files are those of its parent', async () => {
    await using place = await openOn('ext4')
    const { driver, root } = place
    const base = await apply(
      driver,
      'base',
      undefined,
      { name: 'kept', data: 'k' },
      { name: 'gone', data: 'g' },
    )
    await apply(driver, 'top', base, { name: 'new', data: 'n' }, { name: '.wh.gone' })
    const at = (name: string): string => path.join(homeOf(root), name)
    expect(readdirSync(at('top'))).toEqual(['root'])
    expect(readdirSync(at('top/root')).toSorted()).toEqual(['kept', 'new'])
    expect(lstatSync(at('top/root/kept')).ino).toBe(lstatSync(at('base/root/kept')).ino)
    expect(await driver.metadata(id('top'))).toEqual({ RootDir: at('top/root') })
  })

  test('a container’s changes are copied to a layer on it, deletions and opaque directories too', async () => {
    await using place = await openOn('ext4')
    const { driver } = place
    const base = await apply(
      driver,
      'base',
      undefined,
      { name: 'd/', type: '5' },
      { name: 'd/old', data: 'o' },
      { name: 'gone', data: 'g' },
    )
    await driver.createReadWrite(id('init'), { parent: base })
    {
      await using mount = await driver.get(id('init'))
      rmSync(`${mount.path}/gone`)
      rmSync(`${mount.path}/d`, { recursive: true })
      mkdirSync(`${mount.path}/d`)
      writeFileSync(`${mount.path}/d/new`, 'n')
    }
    await driver.createReadWrite(id('container'), { parent: id('init') })
    await using mount = await driver.get(id('container'))
    expect(readdirSync(mount.path)).toEqual(['d'])
    expect(readdirSync(`${mount.path}/d`)).toEqual(['new'])
    expect(await driver.changes(id('container'), id('init'))).toEqual([])
  })

  test('a hard link that says something else of a file does not say it of the parent’s', async () => {
    await using place = await openOn('ext4')
    const { driver, root } = place
    const base = await apply(
      driver,
      'base',
      undefined,
      { name: 'a', data: 'shared', mode: 0o644, mtime: '1000000000' },
      { name: 'z', type: '1', link: 'a', mode: 0o644, mtime: '1000000000' },
    )
    await apply(driver, 'top', base, { name: 'm', type: '1', link: 'a', mode: 0o600, mtime: '1200000000' })
    const stat = (name: string) => lstatSync(path.join(homeOf(root), name))
    expect((stat('base/root/a').mode & 0o777).toString(8)).toBe('644')
    expect(stat('base/root/a').mtimeMs).toBe(1_000_000_000_000)
    expect((stat('top/root/m').mode & 0o777).toString(8)).toBe('600')
    // In its own tree it is one file still, under all of its names.
    expect(new Set(['a', 'm', 'z'].map((name) => stat(`top/root/${name}`).ino)).size).toBe(1)
    expect(stat('top/root/a').ino).not.toBe(stat('base/root/a').ino)
    expect(readFileSync(path.join(homeOf(root), 'top/root/z'), 'utf8')).toBe('shared')
  })

  test('a stack that would take the last inodes is refused before anything is made', async () => {
    await using place = await openOn('ext4', { sizeMiB: 64, mkfsOptions: ['-N', '512'] })
    const { driver, root } = place
    const directories = Array.from({ length: 300 }, (_, index): RawEntry => ({
      name: `d${index}/`,
      type: '5',
    }))
    const base = await apply(driver, 'base', undefined, ...directories)
    await driver.create(id('top'), { parent: base })
    const free = statfsSync(root).ffree
    const applying = driver.applyDiff(id('top'), base, inChunks(rawTar({ name: 'f', data: 'f' })))
    await expect(applying).rejects.toMatchObject({
      code: 'GD_NO_INODES',
      details: { id: 'top', needed: 301 },
    })
    expect(statfsSync(root).ffree).toBe(free)
    expect(Object.fromEntries(await driver.status())['Inodes']).toBe(`${512 - free} of 512 taken`)
    expect(readdirSync(path.join(homeOf(root), 'top')).toSorted()).toEqual(['lower-id', 'upper', 'work'])
    await driver.remove(id('top'))
  })

  test('a process that died between the two forms of a layer leaves the whole tree', async () => {
    await using place = await openOn('ext4')
    const { driver, root } = place
    const base = await apply(driver, 'base', undefined, { name: 'f', data: 'f' })
    const top = await apply(driver, 'top', base, { name: 'g', data: 'g' })
    const at = (name: string): string => path.join(homeOf(root), 'top', name)
    writeFileSync(at('lower-id'), 'base')
    for (const name of ['upper', 'work']) mkdirSync(at(name))
    await using again = await openAt(root)
    await using mount = await again.get(top)
    expect(readdirSync(mount.path).toSorted()).toEqual(['f', 'g'])
    await again.remove(top)
    expect(readdirSync(homeOf(root))).toEqual(['base'])
  })

  test('a damaged lower-id is named, with the remedy', async () => {
    await using place = await openOn('tmpfs')
    const { driver, root } = place
    const base = await apply(driver, 'base', undefined, { name: 'f', data: 'f' })
    await driver.createReadWrite(id('container'), { parent: base })
    writeFileSync(path.join(homeOf(root), 'container/lower-id'), '../../etc')
    await expect(driver.get(id('container'))).rejects.toMatchObject({
      code: 'GD_STORE_CORRUPT',
      message: expect.stringContaining('lower-id does not name a layer; remove the layer'),
    })
  })
})
