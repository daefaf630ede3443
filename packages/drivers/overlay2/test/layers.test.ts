import {
  chmodSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { readMountTable } from '@graphdriver/sys'
import type { FilesystemKind } from '@tooling/lab'
import { describe, expect, test } from 'vitest'
import { homeOf, id, makeLayer, missing, openAt, openOn } from './open.ts'

const kinds: readonly FilesystemKind[] = ['ext4', 'xfs', 'btrfs', 'tmpfs']

describe.each(kinds)('overlay2 on %s', (kind) => {
  const skipped = missing(kind)

  describe.skipIf(skipped !== undefined)(`${skipped ?? 'as root'}`, () => {
    test('an empty layer is an empty directory of root’s with mode 0755', async () => {
      await using place = await openOn(kind)
      await place.driver.create(id('empty'))
      expect(await place.driver.exists(id('empty'))).toBe(true)
      await using mount = await place.driver.get(id('empty'))
      const { mode, uid, gid } = lstatSync(mount.path)
      expect([(mode & 0o7777).toString(8), uid, gid]).toEqual(['755', 0, 0])
      expect(readdirSync(mount.path)).toEqual([])
    })

    test('a child shows what its parent has, with every attribute, and changes it for itself only', async () => {
      await using place = await openOn(kind)
      const { driver } = place
      await makeLayer(driver, 'base', undefined, (root) => {
        mkdirSync(`${root}/a subdir`)
        lchownSync(`${root}/a subdir`, 1, 2)
        chmodSync(`${root}/a subdir`, 0o1705)
        writeFileSync(`${root}/a file`, 'Some data')
        chmodSync(`${root}/a file`, 0o4222)
      })
      await driver.createReadWrite(id('snap'), { parent: id('base') })
      await using snap = await driver.get(id('snap'))
      const directory = lstatSync(`${snap.path}/a subdir`)
      const file = lstatSync(`${snap.path}/a file`)
      expect([directory.mode & 0o7777, directory.uid, directory.gid]).toEqual([0o1705, 1, 2])
      expect([file.mode & 0o7777, file.uid, file.gid]).toEqual([0o4222, 0, 0])
      expect(readdirSync(snap.path).toSorted()).toEqual(['a file', 'a subdir'])

      writeFileSync(`${snap.path}/a file`, 'Other data')
      await using base = await driver.get(id('base'))
      expect(readFileSync(`${base.path}/a file`, 'utf8')).toBe('Some data')
    })

    test('removing is done once and succeeds again', async () => {
      await using place = await openOn(kind)
      await makeLayer(place.driver, 'base', undefined)
      await makeLayer(place.driver, 'snap', 'base', (root) => writeFileSync(`${root}/file`, ''))
      for (const name of ['snap', 'snap', 'base', 'never']) await place.driver.remove(id(name))
      expect(await place.driver.exists(id('snap'))).toBe(false)
      expect(await Array.fromAsync(place.driver.layers())).toEqual([])
    })

    test('the driver says that it shares files and diffs natively here', async () => {
      await using place = await openOn(kind)
      expect(place.driver.capabilities).toMatchObject({ sharing: 'files', diff: { native: true } })
    })
  })
})

const skipped = missing('tmpfs')

describe.skipIf(skipped !== undefined)(`overlay2 layers (${skipped ?? 'as root'})`, () => {
  test('a layer that is there already is refused and left as it is', async () => {
    await using place = await openOn('tmpfs')
    await makeLayer(place.driver, 'base', undefined, (root) => writeFileSync(`${root}/file`, 'kept'))
    await expect(place.driver.create(id('base'))).rejects.toMatchObject({
      code: 'GD_LAYER_EXISTS',
      details: { id: 'base' },
    })
    await using mount = await place.driver.get(id('base'))
    expect(readFileSync(`${mount.path}/file`, 'utf8')).toBe('kept')
    expect(readdirSync(homeOf(place.root)).toSorted()).toEqual(['base', 'l'])
  })

  test('a missing parent is named, and nothing is made', async () => {
    await using place = await openOn('tmpfs')
    await expect(place.driver.create(id('child'), { parent: id('nobody') })).rejects.toMatchObject({
      code: 'GD_LAYER_NOT_FOUND',
      details: { id: 'nobody' },
    })
    expect(readdirSync(homeOf(place.root))).toEqual(['l'])
  })

  test('calls for a layer that is not there say so, and put does no harm', async () => {
    await using place = await openOn('tmpfs')
    const { driver } = place
    const none = id('none')
    const notFound = { code: 'GD_LAYER_NOT_FOUND', details: { id: 'none' } }
    await expect(driver.get(none)).rejects.toMatchObject(notFound)
    await expect(driver.ownFiles?.(none)).rejects.toMatchObject(notFound)
    await expect(driver.diffSize(none, undefined)).rejects.toMatchObject(notFound)
    await expect(driver.changes(none, undefined)).rejects.toMatchObject(notFound)
    await expect(Array.fromAsync(driver.diff(none, undefined))).rejects.toMatchObject(notFound)
    expect(await driver.exists(none)).toBe(false)
    await driver.put(none)
  })

  test('a layer with a child is mounted read-only, and the child still for writing', async () => {
    await using place = await openOn('tmpfs')
    await makeLayer(place.driver, 'a', undefined)
    await makeLayer(place.driver, 'b', 'a', (root) => writeFileSync(`${root}/file`, 'b'))
    await place.driver.create(id('c'), { parent: id('b') })
    await using b = await place.driver.get(id('b'))
    await using c = await place.driver.get(id('c'))
    expect([b.readonly, c.readonly]).toEqual([true, false])
    expect(() => writeFileSync(`${b.path}/file`, 'changed')).toThrow(
      expect.objectContaining({ code: 'EROFS' }),
    )
    writeFileSync(`${c.path}/file`, 'changed')
    expect(readFileSync(`${b.path}/file`, 'utf8')).toBe('b')
  })

  test('a base layer with a child says that it is read-only', async () => {
    await using place = await openOn('tmpfs')
    await place.driver.create(id('a'))
    {
      await using before = await place.driver.get(id('a'))
      expect(before.readonly).toBe(false)
    }
    await place.driver.create(id('b'), { parent: id('a') })
    await using after = await place.driver.get(id('a'))
    expect(after.readonly).toBe(true)
  })

  test('users of one layer share one mount, which goes with the last', async () => {
    await using place = await openOn('tmpfs')
    await place.driver.create(id('a'))
    await place.driver.create(id('b'), { parent: id('a') })
    const first = await place.driver.get(id('b'))
    const second = await place.driver.get(id('b'))
    expect(second.path).toBe(first.path)
    const mounts = (): number => readMountTable().filter((entry) => entry.target === first.path).length
    expect(mounts()).toBe(1)
    await first[Symbol.asyncDispose]()
    await first[Symbol.asyncDispose]()
    expect(mounts()).toBe(1)
    await second[Symbol.asyncDispose]()
    expect(mounts()).toBe(0)
  })

  test('a file that is still open in the layer does not keep put from unmounting', async () => {
    await using place = await openOn('tmpfs')
    await makeLayer(place.driver, 'a', undefined, (root) => writeFileSync(`${root}/file`, ''))
    await place.driver.create(id('b'), { parent: id('a') })
    const mount = await place.driver.get(id('b'))
    const before = process.cwd()
    process.chdir(mount.path)
    try {
      await place.driver.put(id('b'))
      expect(() => statSync(mount.path)).toThrow(expect.objectContaining({ code: 'ENOENT' }))
    } finally {
      process.chdir(before)
    }
  })

  test('a layer can be removed while it is mounted', async () => {
    await using place = await openOn('tmpfs')
    await place.driver.create(id('a'))
    await place.driver.create(id('b'), { parent: id('a') })
    const mount = await place.driver.get(id('b'))
    await place.driver.remove(id('b'))
    expect(readMountTable().some((entry) => entry.target === mount.path)).toBe(false)
    expect(await place.driver.exists(id('b'))).toBe(false)
    await mount[Symbol.asyncDispose]()
  })

  test('own files are the upper directory, without a mount', async () => {
    await using place = await openOn('tmpfs')
    await makeLayer(place.driver, 'a', undefined, (root) => writeFileSync(`${root}/below`, ''))
    await makeLayer(place.driver, 'b', 'a', (root) => writeFileSync(`${root}/own`, ''))
    const before = readMountTable().length
    await using own = (await place.driver.ownFiles?.(id('b'))) ?? null
    expect(readMountTable()).toHaveLength(before)
    expect(own?.path).toBe(path.join(homeOf(place.root), 'b/diff'))
    expect(readdirSync(own?.path ?? '')).toEqual(['own'])
  })

  test('an option that no layer has is refused before anything is made', async () => {
    await using place = await openOn('tmpfs')
    for (const storageOptions of [{ size: '1G' }, { nonsense: '' }]) {
      await expect(place.driver.createReadWrite(id('a'), { storageOptions })).rejects.toMatchObject({
        code: 'GD_INVALID_OPTION',
      })
    }
    expect(readdirSync(homeOf(place.root))).toEqual(['l'])
  })

  test('a root behind a symlink serves, and its mounts are found where they really are', async () => {
    await using place = await openOn('tmpfs')
    const link = path.join(place.root, 'link')
    mkdirSync(path.join(place.root, 'real'))
    symlinkSync('real', link)
    await using driver = await openAt(link)
    await driver.create(id('a'))
    await driver.create(id('b'), { parent: id('a') })
    const mount = await driver.get(id('b'))
    expect(mount.path).toBe(path.join(place.root, 'real/overlay2/b/merged'))
    await driver.remove(id('b'))
    expect(readdirSync(homeOf(link)).toSorted()).toEqual(['a', 'l'])
  })
})
