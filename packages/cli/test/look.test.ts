/** tree, df, explain and history: what there is, and why. */
import { readFileSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { generatedImage, need } from '@tooling/lab'
import { describe, expect, test } from 'vitest'
import { type DataRoot, emptyRoot } from './data-root.ts'
import { graphdriver, succeed } from './graphdriver.ts'

const missing = need({ root: true, kernelFilesystem: 'overlay' })

interface Looked extends AsyncDisposable {
  readonly root: DataRoot
  readonly call: (...args: readonly string[]) => Promise<string>
}

async function placeIn(root: DataRoot, name: string): Promise<string> {
  const place = path.join(root.scratch, name)
  await mkdir(place)
  return place
}

/** Two images with a base in common, and a container on one. */
async function two(driver = 'overlay2'): Promise<Looked> {
  const root = await emptyRoot()
  const call = (...args: readonly string[]): Promise<string> =>
    succeed(['--root', root.path, '--driver', driver, ...args]).then((text) =>
      Buffer.from(text, 'latin1').toString(),
    )
  const base = [{ name: 'base', content: 'b'.repeat(1000) }]
  await call(
    'load',
    await generatedImage(await placeIn(root, 'a'), 'one:latest', [
      base,
      [{ name: 'one', content: '1'.repeat(20) }],
    ]),
  )
  await call(
    'load',
    await generatedImage(await placeIn(root, 'b'), 'two:latest', [
      base,
      [{ name: 'two', content: '2'.repeat(300) }],
    ]),
  )
  await call('mount', 'one', '--name', 'web')
  return {
    root,
    call,
    async [Symbol.asyncDispose]() {
      await call('unmount', 'web').catch(() => undefined)
      await root[Symbol.asyncDispose]()
    },
  }
}

describe.skipIf(missing !== undefined)(`tree, df and explain (${missing ?? 'as root'})`, () => {
  test('the tree has each layer once, with who shares it and what stands on it', async () => {
    await using looked = await two()
    const { call, root } = looked
    expect(await call('tree')).toMatch(
      /^[0-9a-f]{12} {2}1\.00 kB {2}of 2 images\n(?:├─ [0-9a-f]{12} {2}20 B {2}one:latest {2}\[web\]\n└─ [0-9a-f]{12} {2}300 B {2}two:latest|├─ [0-9a-f]{12} {2}300 B {2}two:latest\n└─ [0-9a-f]{12} {2}20 B {2}one:latest {2}\[web\])\n$/,
    )
    const picture = path.join(root.scratch, 'tree.svg')
    expect(await call('tree', '--svg', picture)).toBe('')
    expect(readFileSync(picture, 'utf8').match(/<text /g)?.length).toBe(3)
  })

  test('df tells what is shared and what goes with an image, and walks nothing', async () => {
    await using looked = await two()
    const lines = (await looked.call('df')).split('\n').map((line) => line.split(/ {2,}/))
    expect(lines).toContainEqual(['one:latest', '1.02 kB', '1.00 kB', '20 B', '1'])
    expect(lines).toContainEqual(['two:latest', '1.30 kB', '1.00 kB', '300 B', '0'])
    expect(lines).toContainEqual(['3 layers of images, 1.32 kB'])
  })

  test('explain says of a layer, an image, a container and a path whose they are and why they stay', async () => {
    await using looked = await two()
    const { call, root } = looked
    const { layers } = JSON.parse(await call('--json', 'tree')) as {
      readonly layers: readonly [{ readonly diffId: string }]
    }
    const base = await call('explain', layers[0].diffId.slice(7, 19))
    for (const words of ['image one:latest has it', 'image two:latest has it', 'stands on it'])
      expect(base).toContain(words)
    expect(await call('explain', 'one')).toMatch(
      /it is named one:latest\n.*writable layer 'web' stands on it/,
    )
    expect(await call('explain', 'web')).toMatch(/nobody has removed it\n {2}it is mounted at \//)
    const mounted = /mounted at (.*)$/m.exec(await call('explain', 'web'))?.[1] ?? ''
    writeFileSync(path.join(mounted, 'file'), '')
    expect(await call('explain', path.join(mounted, 'file'))).toContain("writable layer 'web'")
    const outside = await graphdriver(['--root', root.path, 'explain', '/etc'])
    expect([outside.code, outside.stderr]).toEqual([1, expect.stringContaining('/etc is in no layer')])
    expect((await graphdriver(['--root', root.path, 'explain', 'nobody'])).code).toBe(1)
  })

  test('an empty root has nothing', async () => {
    await using root = await emptyRoot()
    expect(await succeed(['--root', root.path, 'tree'])).toBe('')
    expect(await succeed(['--root', root.path, 'df'])).toContain('0 layers of images')
    expect((await graphdriver(['--root', root.path, 'explain', 'x'])).code).toBe(1)
  })

  test('history tells how an image was made, and what became of a path', async () => {
    await using looked = await two()
    const { call, root } = looked
    const place = (await call('mount', 'web')).trim()
    expect(await call('history', 'one')).toMatch(
      /^DIFF ID +CREATED +SIZE +BY\n[0-9a-f]{12} .+20 B.*\n[0-9a-f]{12} .+1\.00 kB/,
    )
    expect(await call('history', 'one', '/base')).toMatch(
      /^LAYER +WHAT +TYPE +MODE +OWNER +SIZE +MODIFIED\n[0-9a-f]{12} +added +file +0644 +0:0 +1\.00 kB +\S+\n$/,
    )
    writeFileSync(path.join(place, 'base'), 'changed')
    const { events } = JSON.parse(await call('history', 'web', '/base', '--json')) as {
      readonly events: readonly object[]
    }
    expect(events).toMatchObject([
      { kind: 'added', entry: { type: 'file', mode: '0644', size: 1000 } },
      { where: 'web', kind: 'changed' },
    ])
    expect(await call('history', 'two', '/one')).toBe('no layer has /one\n')
    const refused = await graphdriver(['--root', root.path, 'history', 'one', 'base'])
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('is no absolute path') })
  })
})
