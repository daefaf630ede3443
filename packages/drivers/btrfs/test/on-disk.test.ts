/** What dockerd writes and expects to find, and what only btrfs has. */
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { createSubvolume, enableQuota, isSubvolume, qgroupUsage, subvolumeInfo } from '@graphdriver/sys/btrfs'
import { hostOf } from '@graphdriver/core'
import { filesystem } from '@tooling/lab'
import { describe, expect, test } from 'vitest'
import btrfs from '../src/index.ts'
import { homeOf, id, makeLayer, missing, openAt, openOn } from './open.ts'

function withDirectory<T>(directory: string, use: (fd: number) => T): T {
  const fd = openSync(directory, 'r')
  try {
    return use(fd)
  } finally {
    closeSync(fd)
  }
}

describe.skipIf(missing !== undefined)(`btrfs on disk (${missing ?? 'as root'})`, () => {
  test('a layer is a subvolume, a child a snapshot; modes are Docker’s, whatever the umask', async () => {
    const before = process.umask(0o077)
    try {
      await using place = await openOn('btrfs')
      await makeLayer(place.driver, 'base', undefined, (root) => writeFileSync(`${root}/f`, 'f'))
      await place.driver.create(id('child'), { parent: id('base') })
      const at = (name: string): string => path.join(homeOf(place.root), name)
      const modes = ['', 'subvolumes', 'subvolumes/base'].map((name) => lstatSync(at(name)).mode & 0o7777)
      expect(modes).toEqual([0o710, 0o710, 0o755])
      expect(readdirSync(at(''))).toEqual(['subvolumes'])
      const [base, child] = ['base', 'child'].map((name) =>
        withDirectory(at(`subvolumes/${name}`), subvolumeInfo),
      )
      expect(child?.parentUuid).toBe(base?.uuid)
      expect(readFileSync(at('subvolumes/child/f'), 'utf8')).toBe('f')
    } finally {
      process.umask(before)
    }
  })

  test('subvolumes that a container made in its layer go with it, at any depth', async () => {
    await using place = await openOn('btrfs')
    const { driver, root } = place
    await makeLayer(driver, 'base', undefined)
    await makeLayer(driver, 'container', 'base', (tree) => {
      mkdirSync(`${tree}/var/lib`, { recursive: true })
      createSubvolume(`${tree}/var/lib`, 'one')
      createSubvolume(`${tree}/var/lib/one`, 'two')
      writeFileSync(`${tree}/var/lib/one/two/file`, 'f')
      createSubvolume(tree, 'three')
    })
    expect(await driver.changes(id('container'), id('base'))).toContainEqual({
      path: '/var/lib/one/two/file',
      kind: 'add',
    })
    await driver.remove(id('container'))
    expect(readdirSync(path.join(homeOf(root), 'subvolumes'))).toEqual(['base'])
  })

  test('a deletion that was interrupted is finished when the home is opened again', async () => {
    await using place = await openOn('btrfs')
    const directory = path.join(homeOf(place.root), 'subvolumes')
    createSubvolume(directory, '.graphdriver-layer-0123456789abcdef')
    createSubvolume(path.join(directory, '.graphdriver-layer-0123456789abcdef'), 'nested')
    await using _ = await openAt(place.root)
    expect(readdirSync(directory)).toEqual([])
  })

  test('a layer that was restored as a plain directory can be read and removed, and has no children', async () => {
    await using place = await openOn('btrfs')
    const { driver, root } = place
    const restored = path.join(homeOf(root), 'subvolumes/restored')
    mkdirSync(restored)
    writeFileSync(`${restored}/f`, 'f')
    expect(await driver.exists(id('restored'))).toBe(true)
    await expect(driver.create(id('child'), { parent: id('restored') })).rejects.toMatchObject({
      code: 'GD_STORE_CORRUPT',
      message: expect.stringContaining('btrfs subvolume create'),
    })
    expect(await driver.exists(id('child'))).toBe(false)
    await driver.remove(id('restored'))
    expect(existsSync(restored)).toBe(false)
  })

  test('quotas are not switched on for who did not ask: a size is refused, with the remedy', async () => {
    await using place = await openOn('btrfs')
    const { driver, root } = place
    expect(driver.capabilities.quota).toBe('none')
    await expect(
      driver.createReadWrite(id('sized'), { storageOptions: { size: '1G' } }),
    ).rejects.toMatchObject({
      code: 'GD_INVALID_OPTION',
      message: expect.stringContaining('btrfs quota enable'),
    })
    expect(Object.fromEntries(await driver.status())['Quota']).toBe('not enabled')
    // The user's own decision counts from then on.
    withDirectory(root, enableQuota)
    await driver.createReadWrite(id('sized'), { storageOptions: { size: '1G' } })
    expect(readFileSync(path.join(homeOf(root), 'quotas/sized'), 'utf8')).toBe('1073741824')
    await driver.remove(id('sized'))
    expect(readdirSync(path.join(homeOf(root), 'quotas'))).toEqual([])
  })

  test('min_space enables quotas and is the least size; a group goes with its layer', async () => {
    await using volume = await filesystem('btrfs', { sizeMiB: 512, storage: 'memory' })
    const place = hostOf(btrfs, { root: volume.path, options: { min_space: '10M' } })
    await using driver = await btrfs.open(place)
    expect(driver.capabilities.quota).toBe('qgroup')
    await expect(
      driver.createReadWrite(id('small'), { storageOptions: { size: '9M' } }),
    ).rejects.toMatchObject({
      code: 'GD_INVALID_OPTION',
      details: { option: 'size', value: String(9 * 1024 * 1024) },
    })
    await driver.createReadWrite(id('layer'), { storageOptions: { size: '20M' } })
    const layer = path.join(homeOf(volume.path), 'subvolumes/layer')
    expect(isSubvolume(layer)).toBe(true)
    const { id: group } = withDirectory(layer, subvolumeInfo)
    expect(withDirectory(volume.path, (fd) => qgroupUsage(fd, group)?.exclusive)).toBeLessThan(100_000)
    await driver.remove(id('layer'))
    await expect
      .poll(() => withDirectory(volume.path, (fd) => qgroupUsage(fd, group)), { timeout: 20_000 })
      .toBeUndefined()
  })

  test('elsewhere the probe says no', async () => {
    await using volume = await filesystem('tmpfs', { sizeMiB: 16 })
    const answer = await btrfs.probe(hostOf(btrfs, { root: volume.path }))
    expect(answer).toMatchObject({ supported: false, code: 'not-btrfs' })
    await expect(openAt(volume.path)).rejects.toMatchObject({ code: 'GD_DRIVER_UNSUPPORTED' })
  })
})
