/** What dockerd writes and expects to find, name by name. */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { homeOf, id, makeLayer, missing, openAt, openOn } from './open.ts'

const skipped = missing('tmpfs')

function modeOf(file: string): string {
  return (lstatSync(file).mode & 0o7777).toString(8)
}

describe.skipIf(skipped !== undefined)(`overlay2 on disk (${skipped ?? 'as root'})`, () => {
  test('modes are Docker’s, whatever the umask', async () => {
    const before = process.umask(0o077)
    try {
      await using place = await openOn('tmpfs')
      await makeLayer(place.driver, 'base', undefined)
      await makeLayer(place.driver, 'child', 'base')
      const home = homeOf(place.root)
      const modes = ['', 'l', 'base', 'base/diff', 'child/work', 'base/committed'].map((name) =>
        modeOf(path.join(home, name)),
      )
      expect(modes).toEqual(['710', '700', '710', '755', '700', '600'])
    } finally {
      process.umask(before)
    }
  })

  test('a base layer has a diff and a link, and nothing that only a stack needs', async () => {
    await using place = await openOn('tmpfs')
    await place.driver.create(id('base'))
    const home = homeOf(place.root)
    expect(readdirSync(path.join(home, 'base')).toSorted()).toEqual(['diff', 'link'])
    const link = readFileSync(path.join(home, 'base/link'), 'utf8')
    expect(link).toMatch(/^[A-Z2-7]{26}$/)
    expect(readlinkSync(path.join(home, 'l', link))).toBe('../base/diff')
  })

  test('lower lists every layer below by its link, nearest first', async () => {
    await using place = await openOn('tmpfs')
    const home = homeOf(place.root)
    const parents = [undefined, 'a', 'b', 'c']
    for (const [index, name] of ['a', 'b', 'c', 'd'].entries()) {
      const parent = parents[index]
      await place.driver.create(id(name), parent === undefined ? {} : { parent: id(parent) })
    }
    const link = (name: string): string => readFileSync(path.join(home, name, 'link'), 'utf8')
    expect(readFileSync(path.join(home, 'd/lower'), 'utf8')).toBe(
      `l/${link('c')}:l/${link('b')}:l/${link('a')}`,
    )
    expect(readdirSync(path.join(home, 'd')).toSorted()).toEqual(['diff', 'link', 'lower', 'parent', 'work'])
    expect(existsSync(path.join(home, 'a/committed'))).toBe(true)
    expect(existsSync(path.join(home, 'd/committed'))).toBe(false)
  })

  test('merged is there only while mounted', async () => {
    await using place = await openOn('tmpfs')
    await place.driver.create(id('a'))
    await place.driver.create(id('b'), { parent: id('a') })
    const merged = path.join(homeOf(place.root), 'b/merged')
    {
      await using mount = await place.driver.get(id('b'))
      expect(mount.path).toBe(merged)
    }
    expect(existsSync(merged)).toBe(false)
  })

  test('a layer as Docker 1.12 left it is mounted for writing: merged for good, no committed', async () => {
    await using place = await openOn('tmpfs')
    const home = homeOf(place.root)
    for (const [name, link] of [
      ['old', 'AAAAAAAAAAAAAAAAAAAAAAAAAA'],
      ['top', 'BBBBBBBBBBBBBBBBBBBBBBBBBB'],
    ] as const) {
      for (const part of ['diff', 'work', 'merged'])
        mkdirSync(path.join(home, name, part), { recursive: true })
      writeFileSync(path.join(home, name, 'link'), link)
      symlinkSync(`../${name}/diff`, path.join(home, 'l', link))
    }
    writeFileSync(path.join(home, 'top/lower'), 'l/AAAAAAAAAAAAAAAAAAAAAAAAAA')
    writeFileSync(path.join(home, 'old/diff/file'), 'below')
    await using mount = await place.driver.get(id('top'))
    expect(mount.readonly).toBe(false)
    expect(readFileSync(path.join(mount.path, 'file'), 'utf8')).toBe('below')
    writeFileSync(path.join(mount.path, 'new'), '')
    expect(existsSync(path.join(home, 'top/diff/new'))).toBe(true)
  })

  test('metadata has Docker’s keys, the layers below resolved and nearest first', async () => {
    await using place = await openOn('tmpfs')
    const home = homeOf(place.root)
    await place.driver.create(id('a'))
    await place.driver.create(id('b'), { parent: id('a') })
    await place.driver.create(id('c'), { parent: id('b') })
    expect(await place.driver.metadata(id('a'))).toEqual({
      WorkDir: `${home}/a/work`,
      MergedDir: `${home}/a/merged`,
      UpperDir: `${home}/a/diff`,
    })
    expect(await place.driver.metadata(id('c'))).toMatchObject({
      UpperDir: `${home}/c/diff`,
      LowerDir: `${home}/b/diff:${home}/a/diff`,
    })
    await expect(place.driver.metadata(id('none'))).rejects.toMatchObject({ code: 'GD_LAYER_NOT_FOUND' })
  })

  test('status has Docker’s rows in Docker’s order', async () => {
    await using place = await openOn('tmpfs')
    expect(await place.driver.status()).toEqual([
      ['Backing Filesystem', 'tmpfs'],
      ['Supports d_type', 'true'],
      ['Native Overlay Diff', String(place.driver.capabilities.diff.native)],
      ['userxattr', 'false'],
    ])
  })

  test('links that a backup left out are made again when a mount misses them', async () => {
    await using place = await openOn('tmpfs')
    const home = homeOf(place.root)
    await makeLayer(place.driver, 'a', undefined, (root) => writeFileSync(`${root}/file`, 'a'))
    await makeLayer(place.driver, 'b', 'a')
    await makeLayer(place.driver, 'c', 'b')
    for (const link of readdirSync(path.join(home, 'l'))) unlinkSync(path.join(home, 'l', link))
    await using mount = await place.driver.get(id('c'))
    expect(readFileSync(path.join(mount.path, 'file'), 'utf8')).toBe('a')
  })

  test('links that are missing are made again with the next child, too', async () => {
    await using place = await openOn('tmpfs')
    const home = homeOf(place.root)
    await place.driver.create(id('a'))
    await place.driver.create(id('b'), { parent: id('a') })
    rmSync(path.join(home, 'l'), { recursive: true })
    mkdirSync(path.join(home, 'l'))
    await place.driver.create(id('c'), { parent: id('b') })
    expect(readdirSync(path.join(home, 'l'))).toHaveLength(3)
  })

  test('layers are the directories with a link, and nothing else in the home', async () => {
    await using place = await openOn('tmpfs')
    const home = homeOf(place.root)
    await place.driver.create(id('a'))
    await place.driver.create(id('b'), { parent: id('a') })
    mkdirSync(path.join(home, 'half-made'))
    mkdirSync(path.join(home, 'not an id'))
    writeFileSync(path.join(home, 'not an id/link'), 'x')
    writeFileSync(path.join(home, 'file'), '')
    mkdirSync(path.join(home, '.graphdriver-layer-x'))
    writeFileSync(path.join(home, '.graphdriver-layer-x/link'), 'x')
    expect((await Array.fromAsync(place.driver.layers())).toSorted()).toEqual(['a', 'b'])
  })

  test('nothing but the layers and their links is in the home after making and removing', async () => {
    await using place = await openOn('tmpfs')
    const home = homeOf(place.root)
    await makeLayer(place.driver, 'a', undefined)
    await makeLayer(place.driver, 'b', 'a')
    await place.driver.remove(id('b'))
    expect(readdirSync(home).toSorted()).toEqual(['a', 'l'])
    expect(readdirSync(path.join(home, 'l'))).toHaveLength(1)
    await place.driver.remove(id('a'))
    expect(readdirSync(home)).toEqual(['l'])
    expect(readdirSync(path.join(home, 'l'))).toEqual([])
  })

  test('the name of the links’ directory is no layer id', async () => {
    await using place = await openOn('tmpfs')
    await expect(place.driver.create(id('l'))).rejects.toMatchObject({ code: 'GD_INVALID_ID' })
    await expect(place.driver.remove(id('l'))).rejects.toMatchObject({ code: 'GD_INVALID_ID' })
    expect(await place.driver.exists(id('l'))).toBe(false)
    expect(existsSync(path.join(homeOf(place.root), 'l'))).toBe(true)
  })

  test('a home of looser modes from an older Docker is opened and put right', async () => {
    await using place = await openOn('tmpfs')
    rmSync(homeOf(place.root), { recursive: true })
    mkdirSync(homeOf(place.root), { mode: 0o777 })
    await using again = await openAt(place.root)
    expect(modeOf(again.home)).toBe('710')
  })
})
