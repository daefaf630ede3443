import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { readMountTable } from '@graphdriver/sys'
import type { FilesystemKind } from '@tooling/lab'
import { describe, expect, test } from 'vitest'
import { homeOf, id, makeLayer, missing, openAt, openOn } from './open.ts'

const kinds: readonly FilesystemKind[] = ['ext4', 'xfs', 'btrfs', 'tmpfs']

describe.each(kinds)('overlay2 on %s', (kind) => {
  const skipped = missing(kind)

  describe.skipIf(skipped !== undefined)(`${skipped ?? 'as root'}`, () => {
    test('the driver says that it shares files and diffs natively here', async () => {
      await using place = await openOn(kind)
      expect(place.driver.capabilities).toMatchObject({ sharing: 'files', diff: { native: true } })
    })
  })
})

const skipped = missing('tmpfs')

describe.skipIf(skipped !== undefined)(`overlay2 layers (${skipped ?? 'as root'})`, () => {
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

  test('own files are the upper directory, without a mount', async () => {
    await using place = await openOn('tmpfs')
    await makeLayer(place.driver, 'a', undefined, (root) => writeFileSync(`${root}/below`, ''))
    await makeLayer(place.driver, 'b', 'a', (root) => writeFileSync(`${root}/own`, ''))
    const mounts = (): number =>
      readMountTable().filter(({ target }) => target.startsWith(`${place.root}/`)).length
    const before = mounts()
    await using own = (await place.driver.ownFiles?.(id('b'))) ?? null
    expect(mounts()).toBe(before)
    expect(own?.path).toBe(path.join(homeOf(place.root), 'b/diff'))
    expect(readdirSync(own?.path ?? '')).toEqual(['own'])
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
