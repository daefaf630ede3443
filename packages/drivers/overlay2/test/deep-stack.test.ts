import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Driver } from '@graphdriver/core'
import { getpagesize, isMountPoint, umount } from '@graphdriver/sys'
import { mountStack } from '@graphdriver/sys/overlayfs'
import { temporaryDirectory } from '@tooling/lab'
import { describe, expect, test } from 'vitest'

import { homeOf, id, makeLayer, missing, openAt, openOn } from './open.ts'

const skipped = missing('tmpfs')

/** A stack in which each layer adds a file, and every tenth deletes the one that its parent added. */
async function makeStack(driver: Driver, depth: number): Promise<void> {
  await makeLayer(driver, 'layer-0', undefined, (root) => writeFileSync(`${root}/bottom`, 'test content'))
  for (let index = 1; index < depth; index++) {
    const parent = id(`layer-${index - 1}`)
    await driver.create(id(`layer-${index}`), { parent })
    const own = await driver.ownFiles?.(id(`layer-${index}`))
    if (own === undefined) throw new Error('overlay2 has no upper directory')
    if (index % 10 !== 0) writeFileSync(path.join(own.path, `file-${index}`), `layer ${index}`)
    else {
      await using mount = await driver.get(id(`layer-${index}`))
      rmSync(path.join(mount.path, `file-${index - 1}`))
    }
  }
}

async function checkStack(driver: Driver, depth: number): Promise<void> {
  await using mount = await driver.get(id(`layer-${depth - 1}`))
  const expected = Array.from({ length: depth }, (_, index) => index)
    .filter((index) => index % 10 !== 0 && !(index % 10 === 9 && index + 1 < depth))
    .map((index) => `file-${index}`)
  expect(readdirSync(mount.path).toSorted()).toEqual(['bottom', ...expected].toSorted())
  expect(readFileSync(`${mount.path}/bottom`, 'utf8')).toBe('test content')
  for (const name of expected) {
    expect(readFileSync(path.join(mount.path, name), 'utf8')).toBe(`layer ${name.slice(5)}`)
  }
}

describe.skipIf(skipped !== undefined)(`overlay2 deep stacks (${skipped ?? 'as root'})`, () => {
  test('300 layers mount, and show what each added and deleted', async ({ skip }) => {
    await using place = await openOn('tmpfs')
    skip(place.driver.capabilities.maxDepth < 300, 'needs lowerdir+ (Linux 6.7)')
    await makeStack(place.driver, 300)
    await checkStack(place.driver, 300)
    expect(await Array.fromAsync(place.driver.layers())).toHaveLength(300)
  })

  test('a home whose path alone fills an option takes 100 layers', async ({ skip }) => {
    await using place = await openOn('tmpfs')
    skip(place.driver.capabilities.maxDepth < 500, 'needs lowerdir+ (Linux 6.7)')
    const root = path.join(place.root, ...Array.from({ length: 5 }, () => 'long'.repeat(50)))
    await using deep = await openAt(root)
    await makeStack(deep, 100)
    await checkStack(deep, 100)
    await using mount = await deep.get(id('layer-99'))
    writeFileSync(`${mount.path}/new`, '')
    expect(readdirSync(path.join(homeOf(root), 'layer-99/diff'))).toContain('new')
  })

  test('an id as long as a name can be is mounted below a long home', async ({ skip }) => {
    await using place = await openOn('tmpfs')
    skip(place.driver.capabilities.maxDepth < 500, 'needs lowerdir+ (Linux 6.7)')
    const root = path.join(place.root, ...Array.from({ length: 14 }, () => 'a'.repeat(240)))
    await using deep = await openAt(root)
    const name = 'i'.repeat(200)
    await deep.create(id('base'))
    await deep.create(id(name), { parent: id('base') })
    await using mount = await deep.get(id(name))
    writeFileSync(`${mount.path}/new`, '')
    expect(readdirSync(mount.path)).toEqual(['new'])
  })

  test.each(['with:colon', 'with,comma', 'with\\backslash', 'with "quotes" and spaces', 'with-é-ü-✓'])(
    'a home %s serves',
    async (name) => {
      await using place = await openOn('tmpfs')
      const root = path.join(place.root, name)
      await using driver = await openAt(root)
      await makeLayer(driver, 'a', undefined, (at) => writeFileSync(`${at}/a`, ''))
      await makeLayer(driver, 'b', 'a', (at) => writeFileSync(`${at}/b`, ''))
      await using mount = await driver.get(id('b'))
      expect(readdirSync(mount.path).toSorted()).toEqual(['a', 'b'])
      expect(readdirSync(path.join(homeOf(root), 'b/diff'))).toEqual(['b'])
    },
  )

  test('a kernel without lowerdir+ mounts 128 layers by relative paths', async ({ onTestFinished }) => {
    await using directory = await temporaryDirectory()
    const home = path.join(directory.path, 'with,comma', 'x'.repeat(200))
    const lower = Array.from({ length: 127 }, (_, index) => `l/${String(index).padStart(26, 'A')}`)
    for (const [index, link] of lower.entries()) {
      mkdirSync(path.join(home, link), { recursive: true })
      writeFileSync(path.join(home, link, `file-${index}`), '')
    }
    for (const name of ['diff', 'work', 'merged'])
      mkdirSync(path.join(home, 'top', name), { recursive: true })
    const target = path.join(home, 'top/merged')
    onTestFinished(() => {
      if (isMountPoint(target)) umount(target)
    })
    const upper = { diff: 'top/diff', work: 'top/work' }
    await mountStack({ home, target, appendsLower: false }, { lower, upper, options: [] })
    expect(readdirSync(target)).toHaveLength(127)
    writeFileSync(path.join(target, 'new'), '')
    expect(readdirSync(path.join(home, 'top/diff'))).toEqual(['new'])
    umount(target)
  })

  test('a stack that cannot be told to the kernel is refused as too deep', async () => {
    const lower = Array.from({ length: getpagesize() / 16 }, () => 'l/AAAAAAAAAAAAAAAAAAAAAAAAAA')
    const point = { home: '/nowhere', target: '/nowhere', appendsLower: false }
    await expect(mountStack(point, { lower, options: [] })).rejects.toMatchObject({ code: 'E2BIG' })
  })
})
