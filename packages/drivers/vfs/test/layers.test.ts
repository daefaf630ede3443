import {
  chmodSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statfsSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { AT_FDCWD, lsetxattr, makedev, mknodat, run, S } from '@graphdriver/sys'
import { compareTrees, type FilesystemKind } from '@tooling/lab'
import { describe, expect, test } from 'vitest'
import { homeOf, id, makeLayer, missing, openOn } from './open.ts'

const kinds: readonly FilesystemKind[] = ['ext4', 'xfs', 'btrfs', 'tmpfs']
const cloning: readonly FilesystemKind[] = ['xfs', 'btrfs']

/** One of everything that an image has. */
function furnish(root: string): void {
  mkdirSync(`${root}/dir/sub`, { recursive: true })
  writeFileSync(`${root}/dir/file`, 'Some data')
  lchownSync(`${root}/dir/file`, 1, 2)
  chmodSync(`${root}/dir/file`, 0o4755)
  linkSync(`${root}/dir/file`, `${root}/hardlink`)
  symlinkSync('/nowhere', `${root}/symlink`)
  lutimesSync(`${root}/symlink`, 1, 1.5)
  mknodat(AT_FDCWD, `${root}/null`, S.IFCHR | 0o666, makedev(1, 3))
  mknodat(AT_FDCWD, `${root}/fifo`, S.IFIFO | 0o600, 0n)
  lsetxattr(`${root}/dir`, 'user.mark', Buffer.from('kept'))
  const capability = Buffer.from('0100000200040000000000000000000000000000', 'hex')
  lsetxattr(`${root}/dir/file`, 'security.capability', capability)
  chmodSync(`${root}/dir/sub`, 0o1705)
  lchownSync(`${root}/dir/sub`, 3, 4)
  writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff, 0xfe])]), 'no UTF-8')
  utimesSync(`${root}/dir/sub`, 7, 7.25)
  utimesSync(`${root}/dir`, 8, 8.125)
}

describe.each(kinds)('vfs on %s', (kind) => {
  const skipped = missing(kind)

  describe.skipIf(skipped !== undefined)(`${skipped ?? 'as root'}`, () => {
    test('an empty layer is an empty directory of root’s with mode 0755, whatever the umask', async () => {
      const before = process.umask(0o077)
      try {
        await using place = await openOn(kind)
        await place.driver.create(id('empty'))
        await using mount = await place.driver.get(id('empty'))
        const { mode, uid, gid } = lstatSync(mount.path)
        expect([(mode & 0o7777).toString(8), uid, gid]).toEqual(['755', 0, 0])
        expect(readdirSync(mount.path)).toEqual([])
        expect(mount.path).toBe(path.join(homeOf(place.root), 'dir/empty'))
        expect((lstatSync(path.join(homeOf(place.root), 'dir')).mode & 0o777).toString(8)).toBe('710')
      } finally {
        process.umask(before)
      }
    })

    test('a child is a copy of its parent in everything, its root included, and then its own', async () => {
      await using place = await openOn(kind)
      const { driver } = place
      await makeLayer(driver, 'base', undefined, (root) => {
        furnish(root)
        chmodSync(root, 0o711)
        lchownSync(root, 5, 6)
        utimesSync(root, 9, 9.5)
      })
      await driver.createReadWrite(id('snap'), { parent: id('base') })
      await using base = await driver.get(id('base'))
      await using snap = await driver.get(id('snap'))
      expect(await compareTrees(base.path, snap.path)).toEqual([])
      writeFileSync(`${snap.path}/dir/file`, 'Other data')
      expect(readFileSync(`${base.path}/dir/file`, 'utf8')).toBe('Some data')
      expect(await driver.changes(id('snap'), id('base'))).toMatchObject([
        { path: '/dir', kind: 'modify' },
        { path: '/dir/file', kind: 'modify' },
        { path: '/hardlink', kind: 'modify' },
      ])
    })

    test('a fresh copy differs in nothing, and a diff applied to another copy makes them equal', async () => {
      await using place = await openOn(kind)
      const { driver } = place
      await makeLayer(driver, 'base', undefined, furnish)
      await makeLayer(driver, 'upper', 'base')
      expect(await driver.changes(id('upper'), id('base'))).toEqual([])
      await makeLayer(driver, 'upper-2', 'base', (root) => {
        writeFileSync(`${root}/new`, 'new')
        writeFileSync(`${root}/dir/file`, 'longer than before')
      })
      await driver.create(id('copy'), { parent: id('base') })
      await driver.applyDiff(id('copy'), id('base'), driver.diff(id('upper-2'), id('base')))
      await using upper = await driver.get(id('upper-2'))
      await using copy = await driver.get(id('copy'))
      const exceptions = [
        { aspect: 'mtime', path: /^\/$/, reason: 'a layer does not carry its root' },
      ] as const
      expect(await compareTrees(upper.path, copy.path, { exceptions })).toEqual([])
    })

    test('copies share their data where the filesystem can, and the driver says so', async () => {
      await using place = await openOn(kind)
      const { driver } = place
      const shares = cloning.includes(kind)
      expect(driver.capabilities.sharing).toBe(shares ? 'extents' : 'none')
      expect(await driver.status()).toContainEqual(['Reflink', String(shares)])
      const size = 32 << 20
      await makeLayer(driver, 'base', undefined, (root) =>
        writeFileSync(`${root}/big`, Buffer.alloc(size, 7)),
      )
      await driver.create(id('copy'), { parent: id('base') })
      // What sync(1) has written of the first is settled; only then does free space tell of the second.
      await run('sync', ['--file-system', place.root])
      const used = (): number => {
        const { blocks, bfree, bsize } = statfsSync(place.root)
        return (blocks - bfree) * bsize
      }
      const before = used()
      await driver.create(id('copy-2'), { parent: id('base') })
      await run('sync', ['--file-system', place.root])
      expect(used() - before < size / 2).toBe(shares)
    })
  })
})

const skipped = missing('tmpfs')

describe.skipIf(skipped !== undefined)(`vfs layers (${skipped ?? 'as root'})`, () => {
  test('a layer that is there already is refused and left as it is', async () => {
    await using place = await openOn('tmpfs')
    await makeLayer(place.driver, 'base', undefined, (root) => writeFileSync(`${root}/file`, 'kept'))
    await makeLayer(place.driver, 'empty', undefined)
    for (const name of ['base', 'empty']) {
      await expect(place.driver.create(id(name), { parent: id('base') })).rejects.toMatchObject({
        code: 'GD_LAYER_EXISTS',
        details: { id: name },
      })
    }
    await using mount = await place.driver.get(id('empty'))
    expect(readdirSync(mount.path)).toEqual([])
    expect(readdirSync(path.join(homeOf(place.root), 'dir')).toSorted()).toEqual(['base', 'empty'])
  })

  test('a missing parent is named, and nothing is made', async () => {
    await using place = await openOn('tmpfs')
    await expect(place.driver.create(id('child'), { parent: id('nobody') })).rejects.toMatchObject({
      code: 'GD_LAYER_NOT_FOUND',
      details: { id: 'nobody' },
    })
    expect(readdirSync(path.join(homeOf(place.root), 'dir'))).toEqual([])
  })

  test('removing is done once and succeeds again', async () => {
    await using place = await openOn('tmpfs')
    await makeLayer(place.driver, 'base', undefined, furnish)
    for (const name of ['base', 'base', 'never']) await place.driver.remove(id(name))
    expect(await place.driver.exists(id('base'))).toBe(false)
    expect(readdirSync(path.join(homeOf(place.root), 'dir'))).toEqual([])
  })

  test('calls for a layer that is not there say so, and put does no harm', async () => {
    await using place = await openOn('tmpfs')
    const { driver } = place
    const notFound = { code: 'GD_LAYER_NOT_FOUND', details: { id: 'none' } }
    await expect(driver.get(id('none'))).rejects.toMatchObject(notFound)
    await expect(driver.metadata(id('none'))).rejects.toMatchObject(notFound)
    await expect(driver.changes(id('none'), undefined)).rejects.toMatchObject(notFound)
    await expect(Array.fromAsync(driver.diff(id('none'), undefined))).rejects.toMatchObject(notFound)
    await driver.put(id('none'))
    expect(await driver.exists(id('none'))).toBe(false)
  })

  test('layers are the directories in dir/ that have the form of an id', async () => {
    await using place = await openOn('tmpfs')
    await place.driver.create(id('a'))
    await place.driver.create(id('b'))
    mkdirSync(path.join(homeOf(place.root), 'dir/.graphdriver-layer-x'))
    mkdirSync(path.join(homeOf(place.root), 'dir/not an id'))
    writeFileSync(path.join(homeOf(place.root), 'dir/file'), '')
    expect((await Array.fromAsync(place.driver.layers())).toSorted()).toEqual(['a', 'b'])
  })

  test('an option that no layer has is refused before anything is made', async () => {
    await using place = await openOn('tmpfs')
    for (const storageOptions of [{ size: '1G' }, { nonsense: '' }]) {
      await expect(place.driver.createReadWrite(id('a'), { storageOptions })).rejects.toMatchObject({
        code: 'GD_INVALID_OPTION',
      })
    }
    expect(readdirSync(path.join(homeOf(place.root), 'dir'))).toEqual([])
  })
})
