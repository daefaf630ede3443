/** What is left when the power fails before anything of a layer's files is on the disk. */
import {
  closeSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { type Driver, hostOf } from '@graphdriver/core'
import { describe, expect, test } from 'vitest'
import overlay2 from '../src/index.ts'
import { homeOf, id, makeLayer, missing, openAt, openOn } from './open.ts'

const skipped = missing('ext4', 'xfs')

/** Makes the names on a filesystem durable, and of the files only this one. */
function commitNames(root: string): void {
  const fd = openSync(path.join(root, 'unrelated'), 'a')
  fsyncSync(fd)
  closeSync(fd)
}

const names = ['base', 'child', 'grandchild'] as const

async function makeStack(driver: Driver): Promise<void> {
  await makeLayer(driver, 'base', undefined, (root) => writeFileSync(`${root}/f`, ''))
  // Not mounted: an unmount would flush it all.
  await driver.create(id('child'), { parent: id('base') })
  await driver.createReadWrite(id('grandchild'), { parent: id('child') })
}

async function useStack(root: string): Promise<void> {
  const home = homeOf(root)
  {
    await using reader = await overlay2.open({ ...hostOf(overlay2, { root }), readOnly: true })
    const before = readFileSync(path.join(home, 'grandchild/link'), 'utf8')
    await using mount = await reader.get(id('grandchild'))
    expect(readdirSync(mount.path)).toEqual(['f'])
    expect(readFileSync(path.join(home, 'grandchild/link'), 'utf8'), 'a reader writes nothing').toBe(before)
  }
  await using driver = await openAt(root)
  expect((await Array.fromAsync(driver.layers())).toSorted()).toEqual(names.toSorted())
  {
    await using mount = await driver.get(id('grandchild'))
    expect(readdirSync(mount.path)).toEqual(['f'])
    expect(mount.readonly).toBe(false)
  }
  await driver.create(id('next'), { parent: id('grandchild') })
  expect(await driver.changes(id('child'), id('base'))).toEqual([])
  const link = (name: string): string => readFileSync(path.join(home, name, 'link'), 'utf8')
  for (const name of names.slice(1)) await (await driver.get(id(name)))[Symbol.asyncDispose]()
  expect(readFileSync(path.join(home, 'grandchild/lower'), 'utf8'), 'it is as dockerd reads it').toBe(
    `l/${link('child')}:l/${link('base')}`,
  )
  for (const name of ['next', ...names.toReversed()]) await driver.remove(id(name))
  expect(readdirSync(path.join(home, 'l'))).toEqual([])
}

describe.skipIf(skipped !== undefined)(`overlay2 after a power cut (${skipped ?? 'as root'})`, () => {
  test.each(['ext4', 'xfs'] as const)(
    'a layer whose files are empty is whole by its names: %s',
    async (kind) => {
      await using place = await openOn(kind)
      await makeStack(place.driver)
      commitNames(place.root)
      await using left = await place.volume.afterPowerCut()
      // Otherwise this has tried nothing.
      const sizes = names.map((name) => readFileSync(path.join(homeOf(left.path), name, 'link')).length)
      expect(sizes).toContain(0)
      await expect(useStack(left.path)).resolves.toBeUndefined()
    },
  )

  test.each(['tmpfs', 'ext4'] as const)('whichever of the files it is: %s', async (kind) => {
    await using place = await openOn(kind)
    for (const emptied of ['child/link', 'child/lower', 'grandchild/lower', 'base/link', 'grandchild/link']) {
      await makeStack(place.driver)
      truncateSync(path.join(homeOf(place.root), emptied))
      await expect(useStack(place.root)).resolves.toBeUndefined()
    }
  })

  test('on a filesystem without a journal it is all waited for', async () => {
    await using place = await openOn('ext4', { mkfsOptions: ['-O', '^has_journal'] })
    await makeStack(place.driver)
    await using left = await place.volume.afterPowerCut()
    for (const name of readdirSync(homeOf(left.path)).filter((found) => found !== 'l'))
      expect(readFileSync(path.join(homeOf(left.path), name, 'link'))).toHaveLength(26)
  })
})
