import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { generatedImage, need } from '@tooling/lab'
import { describe, expect, test } from 'vitest'
import { contentOf, demoRoot, emptyRoot } from './data-root.ts'
import { demoImage, demoName, graphdriver, json, start, succeed } from './graphdriver.ts'

test('load tells what it loaded, and has nothing to do the second time', async () => {
  await using root = await emptyRoot()
  const first = await graphdriver(['--root', root.path, 'load', demoImage])
  expect(first.stdout).toMatch(/^loaded graphdriver\/demo:latest [0-9a-f]{12} \(4 layers, 4\.\d+ kB\)\n$/)
  expect(first.stderr.match(/^layer \d\/4 [0-9a-f]{12}: \d.*B$/gm)).toHaveLength(4)
  const before = contentOf(root.path)
  const again = await json(['--root', root.path, 'load', demoImage])
  expect(again.images).toMatchObject([{ names: [demoName], layers: 4, loaded: 0 }])
  expect(contentOf(root.path)).toEqual(before)
})

test('load takes several files', async () => {
  await using root = await emptyRoot()
  const other = await generatedImage(root.scratch, 'other:1', [[{ name: 'file', content: 'x' }]])
  await succeed(['--root', root.path, 'load', demoImage, other])
  const { images } = await json(['--root', root.path, 'images'])
  expect(images.flatMap(({ names }) => names).sort()).toEqual([demoName, 'other:1'])
})

test('a root where nothing was loaded is empty, and stays as it is', async () => {
  await using root = await emptyRoot()
  expect(await json(['--root', root.path, 'images'])).toEqual({ images: [] })
  expect(await json(['--root', root.path, 'layers'])).toEqual({ layers: [] })
  expect(await json(['--root', root.path, 'info'])).toMatchObject({
    root: root.path,
    driver: expect.any(String),
  })
  expect((await graphdriver(['--root', root.path, 'run', 'nothing'])).code).toBe(125)
  expect(existsSync(root.path)).toBe(false)
})

test('layers shows the stack of an image from the top down', async () => {
  await using root = await demoRoot()
  const { layers } = await json(['--root', root.path, 'layers', demoName])
  expect(layers.map(({ depth, createdBy }) => [depth, createdBy])).toEqual([
    [4, 'COPY 4-on-top /'],
    [3, 'RUN 3-delete'],
    [2, 'COPY 2-replace /'],
    [1, 'COPY 1-base /'],
  ])
  expect(await succeed(['--root', root.path, 'layers', demoName])).toMatch(/^# {2}DIFF ID/)
})

test('diff gives each layer back byte for byte, by ChainID and DiffID, short ones too', async () => {
  await using root = await demoRoot()
  const { layers } = await json(['--root', root.path, 'layers'])
  for (const { chainId, diffId } of layers) {
    for (const word of [chainId, diffId, diffId.slice(7, 19)]) {
      const tar = await succeed(['--root', root.path, 'diff', word])
      expect(`sha256:${createHash('sha256').update(tar, 'latin1').digest('hex')}`).toBe(diffId)
    }
  }
})

test('diff of an image is all of it, in a file if one is named', async () => {
  await using root = await demoRoot()
  const file = path.join(root.scratch, 'image.tar')
  const { bytes } = await json(['--root', root.path, 'diff', demoName, '--output', file])
  const tar = await readFile(file)
  expect(tar.length).toBe(bytes)
  expect(tar.includes('layers/4-on-top')).toBe(true)
  expect(tar.includes('3-deleted')).toBe(false)
})

test('a reader that goes away ends diff quietly', async () => {
  await using root = await emptyRoot()
  const content = 'x'.repeat(256 * 1024)
  const files = Array.from({ length: 16 }, (_, at) => ({ name: `file-${at}`, content }))
  await succeed(['--root', root.path, 'load', await generatedImage(root.scratch, 'big:1', [files])])
  const call = start(['--root', root.path, 'diff', 'big:1'])
  call.process.stdout?.destroy()
  expect(await call.outcome).toMatchObject({ code: 141, stderr: '' })
})

test('inspect knows images, layers and writable layers', async () => {
  await using root = await demoRoot()
  const image = await json(['--root', root.path, 'inspect', demoName])
  expect(image).toMatchObject({
    kind: 'image',
    names: [demoName],
    config: { config: { Cmd: ['/bin/hello'] } },
  })
  expect(image.layers).toHaveLength(4)
  const byId = await json(['--root', root.path, 'inspect', image.id.slice(7, 15)])
  expect(byId.id).toBe(image.id)
  const layer = await json(['--root', root.path, 'inspect', image.layers[0]?.diffId ?? ''])
  expect(layer).toMatchObject({ kind: 'layer', depth: 1, metadata: expect.any(Object) })
  await succeed(['--root', root.path, 'run', '--name', 'work', demoName])
  expect(await json(['--root', root.path, 'inspect', 'work'])).toMatchObject({
    kind: 'writable',
    name: 'work',
    parent: image.chainId,
  })
})

test('rmi deletes what nobody else needs, and not what a writable layer stands on', async () => {
  await using root = await demoRoot()
  await succeed(['--root', root.path, 'run', '--name', 'work', demoName])
  const used = await graphdriver(['--root', root.path, 'rmi', demoName])
  expect(used.code).toBe(1)
  expect(used.stderr).toContain("is below 'work'; graphdriver rm them first")
  await succeed(['--root', root.path, 'rm', 'work'])
  const { removed } = await json(['--root', root.path, 'rmi', demoName])
  expect(removed).toMatchObject([{ untagged: [demoName], deleted: expect.stringMatching(/^sha256:/) }])
  expect(removed[0]?.layers).toHaveLength(4)
  expect((await json(['--root', root.path, 'layers'])).layers).toEqual([])
})

test('rmi keeps layers that another image has', async () => {
  await using root = await emptyRoot()
  const shared = [{ name: 'shared', content: 'x' }]
  const make = async (name: string): Promise<string> => {
    const source = await generatedImage(root.scratch, `${name}:1`, [shared, [{ name, content: name }]])
    const target = path.join(root.scratch, `${name}.tar`)
    await writeFile(target, await readFile(source))
    return target
  }
  await succeed(['--root', root.path, 'load', await make('one'), await make('two')])
  expect((await json(['--root', root.path, 'layers'])).layers).toHaveLength(3)
  await succeed(['--root', root.path, 'rmi', 'one:1'])
  expect((await json(['--root', root.path, 'layers', 'two:1'])).layers).toHaveLength(2)
  expect(await succeed(['--root', root.path, 'run', '--json', 'two:1', 'nowhere']).catch(String)).toContain(
    '127',
  )
})

describe('mount (needs root)', () => {
  test('leaves a writable layer mounted until unmount', async ({ skip }) => {
    const missing = need({ root: true })
    skip(missing !== undefined, missing)
    await using root = await demoRoot()
    const mounted = await json(['--root', root.path, 'mount', demoName, '--name', 'work'])
    expect(mounted.name).toBe('work')
    expect(await readFile(path.join(mounted.path, 'layers/2-replaced'), 'utf8')).toBe('layer 2 replaced it\n')
    await writeFile(path.join(mounted.path, 'etc/motd'), 'changed\n')
    const { changes } = await json(['--root', root.path, 'changes', 'work'])
    expect(changes).toContainEqual({ path: '/etc/motd', kind: 'modify' })
    expect((await graphdriver(['--root', root.path, 'rm', 'work'])).stderr).toContain('is mounted at')

    await succeed(['--root', root.path, 'unmount', 'work'])
    expect(existsSync(path.join(mounted.path, 'layers'))).toBe(false)
    const again = (await succeed(['--root', root.path, 'mount', 'work'])).trim()
    expect(await readFile(path.join(again, 'etc/motd'), 'utf8')).toBe('changed\n')
    await succeed(['--root', root.path, 'unmount', 'work'])
    await succeed(['--root', root.path, 'rm', 'work'])
    expect(existsSync(mounted.path)).toBe(false)
  })

  test('rm --force unmounts', async ({ skip }) => {
    const missing = need({ root: true })
    skip(missing !== undefined, missing)
    await using root = await demoRoot()
    await succeed(['--root', root.path, 'mount', demoName, '--name', 'work'])
    await succeed(['--root', root.path, 'rm', '--force', 'work'])
    expect((await json(['--root', root.path, 'info'])).contents.writable).toEqual([])
  })
})

test('drivers says of each whether it can serve, and why not', async () => {
  await using root = await emptyRoot()
  const { drivers } = await json(['--root', root.path, 'drivers'])
  expect(drivers).toContainEqual(
    expect.objectContaining({ name: 'vfs', probe: expect.objectContaining({ supported: true }) }),
  )
  expect(drivers).toContainEqual(
    expect.objectContaining({ name: 'windows', probe: expect.objectContaining({ code: 'not-ntfs' }) }),
  )
})

test('two loads at a time wait for each other', async () => {
  await using root = await emptyRoot()
  const outcomes = await Promise.all(
    [0, 1, 2].map(() => graphdriver(['--root', root.path, '--driver', 'vfs', 'load', demoImage])),
  )
  expect(outcomes.map(({ code }) => code)).toEqual([0, 0, 0])
  expect((await json(['--root', root.path, 'layers'])).layers).toHaveLength(4)
})

test('help has every command and the exit codes', async () => {
  const help = await succeed(['--help'])
  for (const word of [
    'load',
    'images',
    'layers',
    'run',
    'mount',
    'unmount',
    'diff',
    'changes',
    'inspect',
    'rm',
    'rmi',
  ]) {
    expect(help).toMatch(new RegExp(`^ {2}${word} `, 'm'))
  }
  expect(help).toContain('Exit codes:')
  expect(await succeed(['--version'])).toMatch(/^\d+\.\d+\.\d+\n$/)
})
