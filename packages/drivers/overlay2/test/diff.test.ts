import {
  chmodSync,
  closeSync,
  createReadStream,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { naiveDiff, TreeWorkers, upperChanges } from '@graphdriver/archive'
import type { Driver, LayerId, TarStream } from '@graphdriver/core'
import { lgetxattr, lsetxattr, MNT, readMountTable, run, umount } from '@graphdriver/sys'
import { compareTrees, type Exception, type FilesystemKind, temporaryDirectory } from '@tooling/lab'
import { describe, expect, test } from 'vitest'

import { homeOf, id, makeLayer, missing, openOn } from './open.ts'
import { randomNumbers, workOn } from './recipe.ts'

const skipped = missing('ext4', 'tmpfs')

/** What is said of a file that the tree's root is not: layers do not carry the root's own attributes. */
const exceptions = (['mtime', 'mode', 'owner'] as const).map((aspect) => ({
  aspect,
  path: /^\/$/,
  reason: 'a layer does not carry its root',
}))

async function applyTo(
  driver: Driver,
  name: string,
  parent: LayerId | undefined,
  tar: TarStream,
): Promise<number> {
  await driver.create(id(name), { parent })
  return driver.applyDiff(id(name), parent, tar)
}

async function expectEqual(
  driver: Driver,
  one: LayerId,
  other: LayerId,
  more: readonly Exception[] = [],
): Promise<void> {
  await using expected = await driver.get(one)
  await using found = await driver.get(other)
  const options = { exceptions: [...exceptions, ...more] }
  expect(await compareTrees(expected.path, found.path, options)).toEqual([])
}

/** What Docker’s rules for comparing trees do not see, and an upper directory tells. */
const unseen = [
  { aspect: 'mtime', reason: 'a directory in which something came and went again is not changed' },
  { aspect: 'hardlink', reason: 'a new link to an unchanged file does not change the file' },
] as const

describe.skipIf(skipped !== undefined)(`overlay2 diffs (${skipped ?? 'as root'})`, () => {
  test('changes do not depend on the parent staying mounted, and say so when it is not', async () => {
    await using place = await openOn('tmpfs')
    const { driver } = place
    const names = Array.from({ length: 6000 }, (_, index) => `file-${index}`)
    await makeLayer(driver, 'base', undefined)
    await makeLayer(driver, 'middle', 'base', (root) => {
      for (const name of names) writeFileSync(`${root}/${name}`, '1')
    })
    await makeLayer(driver, 'upper', 'middle', (root) => {
      for (const name of names) writeFileSync(`${root}/${name}`, '22')
    })
    await using parent = await driver.get(id('middle'))
    const comparison = {
      upper: path.join(homeOf(place.root), 'upper/diff'),
      base: parent.path,
      mounted: true,
      whiteouts: { format: 'overlay', xattr: 'trusted' },
    } as const
    const changes = upperChanges(comparison)
    // What another process does that was the first to mount it and is done.
    umount(parent.path, MNT.DETACH)
    expect(new Set((await changes).map(({ kind }) => kind))).toEqual(new Set(['modify']))
    await expect(upperChanges(comparison)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('a diff of a layer and its parent mounts nothing', async () => {
    await using place = await openOn('tmpfs')
    const { driver } = place
    await makeLayer(driver, 'base', undefined)
    await makeLayer(driver, 'upper', 'base', (root) => writeFileSync(`${root}/file`, 'x'))
    // Other tests mount at the same time: only what is below this place is looked at.
    const mounts = (): number =>
      readMountTable().filter(({ target }) => target.startsWith(`${place.root}/`)).length
    const seen: number[] = []
    for await (const _ of driver.diff(id('upper'), id('base'))) seen.push(mounts())
    expect(seen).not.toEqual([])
    expect(Math.max(...seen)).toBe(0)
  })

  test('deletions arrive as what the kernel makes of them: devices 0:0 and the opaque mark', async () => {
    await using place = await openOn('ext4')
    const { driver } = place
    await makeLayer(driver, 'base', undefined, (root) => {
      mkdirSync(`${root}/dir/sub`, { recursive: true })
      writeFileSync(`${root}/dir/old`, '')
      writeFileSync(`${root}/file`, '')
    })
    await makeLayer(driver, 'upper', 'base', (root) => {
      rmSync(`${root}/dir`, { recursive: true })
      mkdirSync(`${root}/dir`)
      writeFileSync(`${root}/dir/new`, '')
      rmSync(`${root}/file`)
    })
    await applyTo(driver, 'copy', id('base'), driver.diff(id('upper'), id('base')))
    for (const layer of ['upper', 'copy']) {
      const diff = path.join(homeOf(place.root), layer, 'diff')
      expect(lgetxattr(`${diff}/dir`, 'trusted.overlay.opaque')?.toString()).toBe('y')
      const whiteout = lstatSync(`${diff}/file`)
      expect([whiteout.isCharacterDevice(), whiteout.rdev]).toEqual([true, 0])
    }
    await expectEqual(driver, id('upper'), id('copy'))
    await using copy = await driver.get(id('copy'))
    expect(readdirSync(`${copy.path}/dir`)).toEqual(['new'])
  })

  test('what a base layer deletes leaves no device in it', async () => {
    await using place = await openOn('tmpfs')
    const { driver } = place
    await makeLayer(driver, 'a', undefined, (root) => writeFileSync(`${root}/file`, ''))
    await makeLayer(driver, 'b', 'a', (root) => rmSync(`${root}/file`))
    await applyTo(driver, 'base', undefined, driver.diff(id('b'), id('a')))
    await using base = await driver.get(id('base'))
    expect(readdirSync(base.path)).toEqual([])
  })

  test('a directory that was renamed is in the diff with all that is in it', async () => {
    await using place = await openOn('tmpfs')
    const { driver } = place
    await makeLayer(driver, 'base', undefined, (root) => {
      mkdirSync(`${root}/old`)
      writeFileSync(`${root}/old/file`, 'content')
    })
    await makeLayer(driver, 'upper', 'base', (root) => {
      // The kernel refuses to rename a directory of a lower layer, and mv(1) copies.
      expect(() => renameSync(`${root}/old`, `${root}/new`)).toThrow(
        expect.objectContaining({ code: 'EXDEV' }),
      )
      mkdirSync(`${root}/new`)
      renameSync(`${root}/old/file`, `${root}/new/file`)
      rmSync(`${root}/old`, { recursive: true })
      renameSync(`${root}/new`, `${root}/newer`)
    })
    await applyTo(driver, 'copy', id('base'), driver.diff(id('upper'), id('base')))
    await expectEqual(driver, id('upper'), id('copy'))
    await using copy = await driver.get(id('copy'))
    expect(readFileSync(`${copy.path}/newer/file`, 'utf8')).toBe('content')
  })

  test('metadata-only changes do not lose the content', async () => {
    await using place = await openOn('tmpfs')
    const { driver } = place
    await makeLayer(driver, 'base', undefined, (root) => writeFileSync(`${root}/file`, 'content'))
    await makeLayer(driver, 'upper', 'base', (root) => chmodSync(`${root}/file`, 0o600))
    await applyTo(driver, 'copy', id('base'), driver.diff(id('upper'), id('base')))
    expect(readFileSync(path.join(homeOf(place.root), 'copy/diff/file'), 'utf8')).toBe('content')
  })

  test('an opaque directory’s hidden content is listed as deleted, name by name', async () => {
    await using place = await openOn('ext4')
    const { driver } = place
    await makeLayer(driver, 'base', undefined, (root) => {
      mkdirSync(`${root}/dir/sub`, { recursive: true })
      for (const name of ['a', 'b', 'sub/c']) writeFileSync(`${root}/dir/${name}`, '')
    })
    await makeLayer(driver, 'upper', 'base', (root) => {
      rmSync(`${root}/dir`, { recursive: true })
      mkdirSync(`${root}/dir`)
      writeFileSync(`${root}/dir/b`, 'another size')
    })
    expect(await driver.changes(id('upper'), id('base'))).toEqual([
      { path: '/dir', kind: 'modify' },
      { path: '/dir/a', kind: 'delete' },
      { path: '/dir/b', kind: 'modify' },
      { path: '/dir/sub', kind: 'delete' },
    ])
  })

  test('what was only copied up is no change', async () => {
    await using place = await openOn('tmpfs')
    const { driver } = place
    await makeLayer(driver, 'base', undefined, (root) => {
      mkdirSync(`${root}/dir`)
      writeFileSync(`${root}/dir/file`, 'content')
    })
    await makeLayer(driver, 'upper', 'base', (root) => closeSync(openSync(`${root}/dir/file`, 'r+')))
    expect(existsSync(path.join(homeOf(place.root), 'upper/diff/dir/file'))).toBe(true)
    expect(await driver.changes(id('upper'), id('base'))).toEqual([])
  })

  test('names that are not UTF-8 are changes like any other', async () => {
    await using place = await openOn('tmpfs')
    await using workers = new TreeWorkers({ threads: 1 })
    const { driver } = place
    const odd = (root: string, ...bytes: readonly number[]): Buffer =>
      Buffer.concat([Buffer.from(`${root}/`), Buffer.from(bytes)])
    await makeLayer(driver, 'base', undefined, (root) => writeFileSync(odd(root, 0xff, 0x61), ''))
    await makeLayer(driver, 'upper', 'base', (root) => {
      rmSync(odd(root, 0xff, 0x61))
      mkdirSync(odd(root, 0xfe))
    })
    const changes = await driver.changes(id('upper'), id('base'))
    expect(changes.map(({ kind }) => kind)).toEqual(['add', 'delete'])
    expect(changes).toEqual(await naiveDiff(driver, workers).changes(id('upper'), id('base')))
    await applyTo(driver, 'copy', id('base'), driver.diff(id('upper'), id('base')))
    await expectEqual(driver, id('upper'), id('copy'))
  })

  test('a layer that is opaque at its top shows nothing of what is below', async () => {
    await using place = await openOn('ext4')
    const { driver } = place
    await makeLayer(driver, 'base', undefined, (root) => {
      mkdirSync(`${root}/both/old`, { recursive: true })
      mkdirSync(`${root}/below`)
      writeFileSync(`${root}/file`, '')
      writeFileSync(`${root}/replaced`, '')
    })
    await using source = await temporaryDirectory()
    const content = path.join(source.path, 'content')
    mkdirSync(`${content}/both/new`, { recursive: true })
    for (const name of ['.wh..wh..opq', 'replaced']) writeFileSync(path.join(content, name), '')
    const tar = path.join(source.path, 'tar')
    await run('tar', ['--create', '--file', tar, '--directory', content, '.wh..wh..opq', 'both', 'replaced'])
    await applyTo(driver, 'upper', id('base'), createReadStream(tar))
    await using upper = await driver.get(id('upper'))
    const shown = readdirSync(upper.path, { recursive: true, encoding: 'utf8' })
    expect(new Set(shown)).toEqual(new Set(['both', 'both/new', 'replaced']))
    await applyTo(driver, 'copy', id('base'), driver.diff(id('upper'), id('base')))
    await expectEqual(driver, id('upper'), id('copy'))
  })

  test('what a tar leaves out is looked up in the layers below: directories and links on the way', async () => {
    await using place = await openOn('ext4')
    const { driver } = place
    await makeLayer(driver, 'a', undefined, (root) => {
      mkdirSync(`${root}/usr/lib`, { recursive: true })
      symlinkSync('usr/lib', `${root}/lib`)
      mkdirSync(`${root}/tmp`)
      chmodSync(`${root}/tmp`, 0o1777)
    })
    await makeLayer(driver, 'b', 'a')
    await using source = await temporaryDirectory()
    for (const directory of ['lib', 'tmp']) {
      mkdirSync(path.join(source.path, directory))
      writeFileSync(path.join(source.path, directory, 'file'), directory)
    }
    const tar = path.join(source.path, 'tar')
    await run('tar', ['--create', '--file', tar, '--directory', source.path, 'lib/file', 'tmp/file'])
    await applyTo(driver, 'upper', id('b'), createReadStream(tar))
    await using upper = await driver.get(id('upper'))
    expect(readlinkSync(`${upper.path}/lib`)).toBe('usr/lib')
    expect(readFileSync(`${upper.path}/usr/lib/file`, 'utf8')).toBe('lib')
    expect(lstatSync(`${upper.path}/tmp`).mode & 0o7777).toBe(0o1777)
  })

  test('a tar cannot plant overlayfs’ own attributes', async () => {
    await using place = await openOn('ext4')
    const { driver } = place
    await makeLayer(driver, 'base', undefined, (root) => mkdirSync(`${root}/dir`))
    await makeLayer(driver, 'upper', 'base', (root) => {
      mkdirSync(`${root}/evil`)
      symlinkSync('evil', `${root}/link`)
    })
    const diff = path.join(homeOf(place.root), 'upper/diff/evil')
    lsetxattr(diff, 'trusted.overlay.redirect', Buffer.from('/dir'))
    await applyTo(driver, 'copy', id('base'), driver.diff(id('upper'), id('base')))
    const copied = path.join(homeOf(place.root), 'copy/diff/evil')
    expect(lgetxattr(copied, 'trusted.overlay.redirect')).toBeUndefined()
  })
})

const backings: readonly (readonly [FilesystemKind, readonly number[]])[] = [
  ['ext4', [1, 2]],
  ['xfs', [3, 4]],
  ['btrfs', [5, 6]],
  ['tmpfs', [1, 2, 3, 4, 5, 6]],
]

describe.each(backings)('overlay2 diffs of random work on %s', (kind, seeds) => {
  const lacking = missing(kind)

  test.skipIf(lacking !== undefined).for(seeds)(`seed %i (${lacking ?? 'as root'})`, async (seed) => {
    await using place = await openOn(kind)
    await using workers = new TreeWorkers({ threads: 2 })
    const { driver } = place
    const naive = naiveDiff(driver, workers)
    const random = randomNumbers(seed)
    let parent: LayerId | undefined
    for (let depth = 0; depth < 4; depth++) {
      const layer = await makeLayer(driver, `layer-${depth}`, parent, (root) => workOn(root, random, 60))
      const native = await applyTo(driver, `native-${depth}`, parent, driver.diff(layer, parent))
      await applyTo(driver, `naive-${depth}`, parent, naive.diff(layer, parent))
      await expectEqual(driver, layer, id(`native-${depth}`))
      await expectEqual(driver, layer, id(`naive-${depth}`), unseen)
      for (const copy of ['native', 'naive'])
        expect(await driver.changes(id(`${copy}-${depth}`), layer)).toEqual([])
      expect(await driver.diffSize(id(`native-${depth}`), parent)).toBe(native)
      expect(await driver.changes(layer, parent)).toEqual(await naive.changes(layer, parent))
      parent = layer
    }
  })
})
