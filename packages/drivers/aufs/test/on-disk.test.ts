/** What Docker's aufs wrote and expects to find, on a kernel that has no aufs. */
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { buffer } from 'node:stream/consumers'
import path from 'node:path'
import type { Driver, LayerId } from '@graphdriver/core'
import { inChunks, rawTar, readTar } from '@graphdriver/core/conformance'
import { lgetxattr, S, lstatx } from '@graphdriver/sys'
import { describe, expect, test } from 'vitest'
import { homeOf, id, makeLayer, missing, openAt, openOn } from './open.ts'

const skipped = missing('ext4', 'tmpfs')

function modeOf(file: string): string {
  return (lstatSync(file).mode & 0o7777).toString(8)
}

function allNames(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' }).toSorted()
}

async function within(driver: Driver, layer: LayerId, use: (root: string) => void): Promise<void> {
  await using mount = await driver.get(layer)
  use(mount.path)
}

function isWhiteoutDevice(file: string): boolean {
  const { mode, rdevMajor, rdevMinor } = lstatx(file)
  return (mode & S.IFMT) === S.IFCHR && rdevMajor === 0 && rdevMinor === 0
}

/** A layer as a real aufs left it: bookkeeping at its root, markers hard-linked to one file. */
function aufsLayer(home: string, name: string, parents: readonly string[]): string {
  const diff = path.join(home, 'diff', name)
  for (const directory of ['layers', 'diff', 'mnt'])
    mkdirSync(path.join(home, directory), { recursive: true })
  mkdirSync(diff)
  mkdirSync(path.join(home, 'mnt', name))
  writeFileSync(path.join(home, 'layers', name), parents.map((parent) => `${parent}\n`).join(''))
  return diff
}

function aufsBookkeeping(diff: string): void {
  writeFileSync(`${diff}/.wh..wh.aufs`, '', { mode: 0o444 })
  for (const directory of ['.wh..wh.orph', '.wh..wh.plnk']) mkdirSync(`${diff}/${directory}`, { mode: 0o700 })
}

function aufsWhiteout(diff: string, name: string): void {
  linkSync(`${diff}/.wh..wh.aufs`, path.join(diff, path.dirname(name), `.wh.${path.basename(name)}`))
}

describe.skipIf(skipped !== undefined)(`aufs on disk (${skipped ?? 'as root'})`, () => {
  test('names, modes and records are Docker’s, whatever the umask', async () => {
    const before = process.umask(0o077)
    try {
      await using place = await openOn('ext4')
      const { driver, root } = place
      await makeLayer(driver, 'base', undefined, (tree) => writeFileSync(`${tree}/f`, 'f'))
      await driver.create(id('middle'), { parent: id('base') })
      await driver.createReadWrite(id('top'), { parent: id('middle') })
      const at = (name: string): string => path.join(homeOf(root), name)
      const names = [
        '',
        'layers',
        'diff',
        'mnt',
        'diff/base',
        'mnt/base',
        'diff/top',
        'mnt/top',
        '.graphdriver',
      ]
      expect(names.map((name) => modeOf(at(name)))).toEqual([
        '710',
        '710',
        '710',
        '710',
        '755',
        '755',
        '755',
        '755',
        '700',
      ])
      expect(['base', 'middle', 'top'].map((name) => readFileSync(at(`layers/${name}`), 'utf8'))).toEqual([
        '',
        'base\n',
        'middle\nbase\n',
      ])
    } finally {
      process.umask(before)
    }
  })

  test('deletions are AUFS’s files at rest, overlayfs’s devices while mounted, and keep their times', async () => {
    await using place = await openOn('ext4')
    const { driver, root } = place
    await makeLayer(driver, 'base', undefined, (tree) => {
      mkdirSync(`${tree}/d/old`, { recursive: true })
      for (const name of ['f', 'd/g', 'd/old/h']) writeFileSync(`${tree}/${name}`, name)
    })
    await driver.createReadWrite(id('layer'), { parent: id('base') })
    const diff = path.join(homeOf(root), 'diff/layer')
    const change = (tree: string): void => {
      rmSync(`${tree}/f`)
      rmSync(`${tree}/d/g`)
      rmSync(`${tree}/d/old`, { recursive: true })
      mkdirSync(`${tree}/d/old`)
      writeFileSync(`${tree}/d/old/new`, 'new')
      utimesSync(`${tree}/d`, 1000, 2000.5)
      utimesSync(tree, 1000, 3000.25)
    }
    await within(driver, id('layer'), (tree) => {
      change(tree)
      expect(isWhiteoutDevice(`${diff}/f`)).toBe(true)
    })
    expect(allNames(diff)).toEqual(['.wh.f', 'd', 'd/.wh.g', 'd/old', 'd/old/.wh..wh..opq', 'd/old/new'])
    expect(modeOf(`${diff}/.wh.f`)).toBe('444')
    expect(lgetxattr(`${diff}/d/old`, 'trusted.overlay.opaque')).toBeUndefined()
    expect([statSync(`${diff}/d`).mtimeMs, statSync(diff).mtimeMs]).toEqual([2_000_500, 3_000_250])
    await within(driver, id('layer'), (tree) => {
      expect(allNames(tree)).toEqual(['d', 'd/old', 'd/old/new'])
      expect([statSync(`${tree}/d`).mtimeMs, statSync(tree).mtimeMs]).toEqual([2_000_500, 3_000_250])
      // Made again, it is no deletion any more.
      writeFileSync(`${tree}/f`, 'again')
    })
    expect(existsSync(`${diff}/.wh.f`)).toBe(false)
    expect(readFileSync(`${diff}/f`, 'utf8')).toBe('again')
  })

  test('a diff is the same, byte for byte, of a layer at rest, mounted, and with a child', async () => {
    await using place = await openOn('ext4')
    const { driver } = place
    await makeLayer(driver, 'base', undefined, (tree) => {
      mkdirSync(`${tree}/d/e`, { recursive: true })
      for (const name of ['a', 'b', 'd/f', 'd/g', 'd/e/h', '-', '.x']) writeFileSync(`${tree}/${name}`, name)
    })
    await makeLayer(driver, 'layer', 'base', (tree) => {
      for (const name of ['a', 'd/f', '-', '.x']) unlinkSync(`${tree}/${name}`)
      rmSync(`${tree}/d/e`, { recursive: true })
      mkdirSync(`${tree}/d/e`)
      for (const name of ['!', 'd/e/!', 'd/e/new', 'd/.hidden']) writeFileSync(`${tree}/${name}`, name)
      chmodSync(`${tree}/b`, 0o600)
    })
    const tar = (): Promise<Buffer> => buffer(driver.diff(id('layer'), id('base')))
    const changes = (): ReturnType<Driver['changes']> => driver.changes(id('layer'), id('base'))
    const [atRest, listed] = [await tar(), await changes()]
    {
      await using _ = await driver.get(id('layer'))
      expect((await tar()).equals(atRest)).toBe(true)
      expect(await changes()).toEqual(listed)
    }
    await driver.create(id('child'), { parent: id('layer') })
    expect((await tar()).equals(atRest)).toBe(true)
    expect(await changes()).toEqual(listed)
    expect(listed.filter(({ kind }) => kind === 'delete').map(({ path: gone }) => gone)).toEqual([
      '/-',
      '/.x',
      '/a',
      '/d/e/h',
      '/d/f',
    ])
  })

  test('a root that a real aufs wrote opens, is shown, changed, and stays what aufs would understand', async () => {
    await using place = await openOn('ext4')
    const { root } = place
    const home = homeOf(root)
    await place.driver.cleanup()
    rmSync(home, { recursive: true })
    const base = aufsLayer(home, 'base', [])
    mkdirSync(`${base}/etc`)
    mkdirSync(`${base}/gone/deep`, { recursive: true })
    mkdirSync(`${base}/anew`)
    for (const name of ['etc/kept', 'etc/gone', 'gone/deep/f', 'anew/old'])
      writeFileSync(`${base}/${name}`, name)
    const image = aufsLayer(home, 'image', ['base'])
    aufsBookkeeping(image)
    mkdirSync(`${image}/etc`, { mode: 0o750 })
    chmodSync(`${image}/etc`, 0o750)
    utimesSync(`${image}/etc`, 5, 6)
    mkdirSync(`${image}/anew`)
    for (const name of ['etc/gone', 'gone', 'anew/.wh..opq']) aufsWhiteout(image, name)
    writeFileSync(`${image}/anew/new`, 'new')
    utimesSync(`${image}/etc`, 5, 6)
    const container = aufsLayer(home, 'container', ['image', 'base'])
    aufsBookkeeping(container)
    mkdirSync(`${container}/etc`)
    chmodSync(`${container}/etc`, 0o750)
    aufsWhiteout(container, 'etc/kept')
    writeFileSync(`${container}/own`, 'own')
    linkSync(`${container}/own`, `${container}/.wh..wh.plnk/1234.5678`)

    await using driver = await openAt(root)
    expect((await Array.fromAsync(driver.layers())).toSorted()).toEqual(['base', 'container', 'image'])
    expect(Object.fromEntries(await driver.status())).toMatchObject({ Dirs: '3', Engine: 'overlay' })
    await within(driver, id('container'), (tree) => {
      expect(allNames(tree)).toEqual(['anew', 'anew/new', 'etc', 'own'])
      expect(modeOf(`${tree}/etc`)).toBe('750')
      writeFileSync(`${tree}/etc/kept`, 'again')
      rmSync(`${tree}/anew/new`)
    })
    expect(allNames(container)).toEqual(['anew', 'anew/.wh.new', 'etc', 'etc/kept', 'own'])
    // The image's own directory is as aufs left it.
    expect(readdirSync(image).toSorted()).toEqual([
      '.wh..wh.aufs',
      '.wh..wh.orph',
      '.wh..wh.plnk',
      '.wh.gone',
      'anew',
      'etc',
    ])
    await within(driver, id('image'), (tree) => {
      expect(allNames(tree)).toEqual(['anew', 'anew/new', 'etc', 'etc/kept'])
      expect(statSync(`${tree}/etc`).mtimeMs).toBe(6000)
    })
    // What aufs keeps for itself is in no diff.
    expect((await readTar(driver.diff(id('image'), id('base')))).map(({ name }) => name)).toEqual([
      'anew/',
      'anew/.wh..wh..opq',
      'anew/new',
      'etc/',
      'etc/.wh.gone',
      '.wh.gone',
    ])
    expect(
      (await driver.changes(id('image'), id('base'))).map(({ path: at, kind }) => `${kind} ${at}`),
    ).toEqual([
      'modify /anew',
      'add /anew/new',
      'delete /anew/old',
      'modify /etc',
      'delete /etc/gone',
      'delete /gone',
    ])
  })

  test('an opaque root hides all that is below, of an image and of a container', async () => {
    await using place = await openOn('tmpfs')
    const { driver, root } = place
    await makeLayer(driver, 'base', undefined, (tree) => writeFileSync(`${tree}/below`, 'f'))
    for (const name of ['image', 'container']) {
      await driver.create(id(name), { parent: id('base') })
      writeFileSync(path.join(homeOf(root), 'diff', name, '.wh..wh..opq'), '')
      writeFileSync(path.join(homeOf(root), 'diff', name, name), '')
    }
    await driver.create(id('child'), { parent: id('image') })
    await within(driver, id('child'), (tree) => expect(readdirSync(tree)).toEqual(['image']))
    await within(driver, id('image'), (tree) => expect(readdirSync(tree)).toEqual(['image']))
    await within(driver, id('container'), (tree) => expect(readdirSync(tree)).toEqual(['container']))
    expect(readdirSync(path.join(homeOf(root), 'diff/container')).toSorted()).toEqual([
      '.wh..wh..opq',
      'container',
    ])
  })

  test('files that a container names like markers are its files, and are no deletions', async () => {
    await using place = await openOn('tmpfs')
    const { driver, root } = place
    await makeLayer(driver, 'base', undefined, (tree) => {
      mkdirSync(`${tree}/d`)
      for (const name of ['victim', 'd/victim']) writeFileSync(`${tree}/${name}`, name)
    })
    const names = ['.wh.victim', 'd/.wh.victim', 'd/.wh..wh..opq']
    await makeLayer(driver, 'layer', 'base', (tree) => {
      for (const name of names) writeFileSync(`${tree}/${name}`, `my ${name}`)
    })
    expect(readdirSync(path.join(homeOf(root), 'diff/layer'), { recursive: true })).toEqual(['d'])
    await using again = await openAt(root)
    await within(again, id('layer'), (tree) => {
      expect(names.map((name) => readFileSync(`${tree}/${name}`, 'utf8'))).toEqual(
        names.map((name) => `my ${name}`),
      )
      expect(existsSync(`${tree}/d/victim`)).toBe(true)
      for (const name of names) rmSync(`${tree}/${name}`)
    })
    await within(again, id('layer'), (tree) => expect(readdirSync(tree).toSorted()).toEqual(['d', 'victim']))
  })

  test('a layer that gets a child while it is mounted is the child’s as it is, and AUFS’s after all', async () => {
    await using place = await openOn('tmpfs')
    const { driver, root } = place
    const diff = path.join(homeOf(root), 'diff/layer')
    await makeLayer(driver, 'base', undefined, (tree) => writeFileSync(`${tree}/f`, 'f'))
    await driver.createReadWrite(id('layer'), { parent: id('base') })
    await using mount = await driver.get(id('layer'))
    rmSync(`${mount.path}/f`)
    await driver.createReadWrite(id('child'), { parent: id('layer') })
    await using child = await driver.get(id('child'))
    expect(readdirSync(child.path)).toEqual([])
    await mount[Symbol.asyncDispose]()
    expect(isWhiteoutDevice(`${diff}/f`)).toBe(true)
    // While the child is mounted, it stays so.
    await (await openAt(root)).cleanup()
    expect(readdirSync(child.path)).toEqual([])
    await child[Symbol.asyncDispose]()
    await (await openAt(root)).cleanup()
    expect(readdirSync(diff)).toEqual(['.wh.f'])
    await within(driver, id('child'), (tree) => expect(readdirSync(tree)).toEqual([]))
    await within(driver, id('layer'), (tree) => expect(readdirSync(tree)).toEqual([]))
  })

  test('what Docker was deleting, and what has no record, goes when the home is opened', async () => {
    await using place = await openOn('tmpfs')
    const { driver, root } = place
    const home = homeOf(root)
    await makeLayer(driver, 'base', undefined, (tree) => writeFileSync(`${tree}/f`, 'f'))
    for (const name of [
      'diff/a-removing/d',
      'mnt/a-removing',
      'diff/half',
      'mnt/half',
      '.graphdriver/layer/half/work',
    ])
      mkdirSync(path.join(home, name), { recursive: true })
    await (await openAt(root)).cleanup()
    for (const directory of ['diff', 'mnt', '.graphdriver/layer'])
      expect(readdirSync(path.join(home, directory))).toEqual(['base'])
  })

  test('a record that names no layer is said to be damaged, with its file', async () => {
    await using place = await openOn('tmpfs')
    const { driver, root } = place
    await makeLayer(driver, 'base', undefined)
    const record = path.join(homeOf(root), 'layers/base')
    writeFileSync(record, '../etc\n')
    await expect(driver.get(id('base'))).rejects.toMatchObject({
      code: 'GD_STORE_CORRUPT',
      message: expect.stringContaining(record),
    })
  })

  test('a tar’s whiteouts, and its opaque marks, are AUFS’s files', async () => {
    await using place = await openOn('tmpfs')
    const { driver, root } = place
    await makeLayer(driver, 'base', undefined, (tree) => {
      mkdirSync(`${tree}/d`)
      for (const name of ['f', 'd/g']) writeFileSync(`${tree}/${name}`, name)
    })
    await driver.create(id('image'), { parent: id('base') })
    const entries = [
      { name: '.wh.f' },
      { name: 'd/' },
      { name: 'd/.wh..wh..opq' },
      { name: 'd/new', data: 'new' },
    ]
    await driver.applyDiff(id('image'), id('base'), inChunks(rawTar(...entries)))
    expect(allNames(path.join(homeOf(root), 'diff/image'))).toEqual(['.wh.f', 'd', 'd/.wh..wh..opq', 'd/new'])
  })
})

describe('options', () => {
  test.each([
    ['size', 'much'],
    ['engine', 'fuse'],
    ['dirperm1', 'true'],
  ])('%s=%s is refused by name', async (option, value) => {
    await using place = await openOn('tmpfs')
    await expect(openAt(place.root, { [option]: value })).rejects.toMatchObject({
      code: 'GD_INVALID_OPTION',
      details: { option, value },
    })
  })

  test('an engine that the kernel has not is refused with the way out', async () => {
    await using place = await openOn('tmpfs')
    if (Object.fromEntries(await place.driver.status())['Engine'] === 'kernel') return
    await expect(openAt(place.root, { engine: 'kernel' })).rejects.toMatchObject({
      code: 'GD_DRIVER_UNSUPPORTED',
      message: expect.stringContaining('overlayfs'),
    })
  })
})
