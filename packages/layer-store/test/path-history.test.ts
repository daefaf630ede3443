/** What the layers of a stack did to a path. */
import { rmSync } from 'node:fs'
import path from 'node:path'
import { type ChainId, digestHex, type LayerId } from '@graphdriver/core'
import { expect, it } from 'vitest'
import { candidates, DataRoot } from './data-root.ts'
import { type Entry, stream, tar } from './tar-file.ts'

const stack: readonly (readonly Entry[])[] = [
  [
    { name: 'a/' },
    { name: 'a/file', content: 'one' },
    { name: 'a/sub/' },
    { name: 'a/sub/deep', content: 'x' },
  ],
  [{ name: 'a/file', content: 'longer', mode: 0o600 }],
  [{ name: 'a/.wh.file' }, { name: 'other' }],
  [{ name: 'a/file', symlink: 'nowhere' }],
  [{ name: 'a/sub/' }, { name: 'a/sub/.wh..wh..opq' }, { name: 'a/sub/new', content: '' }],
  [{ name: '.wh.a' }, { name: 'a/' }, { name: 'a/file', content: 'again' }],
  [{ name: 'a', content: 'a file now' }],
]

/** Told from the stack by hand: layer, kind, by, type and size. */
const wanted: Readonly<Record<string, readonly (readonly unknown[])[]>> = {
  '/a/file': [
    [0, 'added', undefined, 'file', 3],
    [1, 'changed', undefined, 'file', 6],
    [2, 'deleted', 'a/.wh.file'],
    [3, 'added', undefined, 'symlink', 0],
    [5, 'replaced', '.wh.a', 'file', 5],
    [6, 'deleted', 'a'],
  ],
  '/a/sub/deep': [
    [0, 'added', undefined, 'file', 1],
    [4, 'deleted', 'a/sub/.wh..wh..opq'],
  ],
  '/a/sub/new': [
    [4, 'added', undefined, 'file', 0],
    [5, 'deleted', '.wh.a'],
  ],
  '/a': [
    [0, 'added', undefined, 'directory', 0],
    [5, 'replaced', '.wh.a', 'directory', 0],
    [6, 'changed', undefined, 'file', 10],
  ],
  '//a/./file/': [],
  '/other': [[2, 'added', undefined, 'file', 0]],
  '/never': [],
  '../up': [],
}

for (const { name, definition, skipped, reason } of await candidates()) {
  it.skipIf(skipped)(`the history of a path on ${name}${reason}, with recipes and without`, async () => {
    await using root = new DataRoot(definition)
    const store = await root.store()
    const chains: ChainId[] = []
    for (const entries of stack)
      chains.push((await store.register(stream(tar(...entries)), chains.at(-1))).chainId)
    const told = async (file: string): Promise<readonly (readonly unknown[])[]> => {
      const events = await store.history(chains.at(-1) as ChainId, file)
      return events.map(({ layer, kind, by, entry }) => {
        const at = chains.indexOf(layer.chainId)
        return entry === undefined ? [at, kind, by] : [at, kind, by, entry.type, entry.size]
      })
    }
    for (const [file, events] of Object.entries(wanted))
      expect([file, await told(file)]).toEqual([file, file.includes('/./') ? wanted['/a/file'] : events])
    const half = await store.history(chains[1] as ChainId, '/a/file')
    expect(half.map(({ entry }) => entry?.mode)).toEqual([0o644, 0o600])
    await expect(store.history(`sha256:${'0'.repeat(64)}` as ChainId, '/a')).rejects.toMatchObject({
      code: 'GD_LAYER_NOT_FOUND',
    })
    // Docker writes none where the driver gives every tar back exactly; then the tar itself tells.
    const [bottom] = store.layers().filter(({ depth }) => depth === 1)
    const own = await store.register(store.driver.diff(bottom?.cacheId as LayerId, undefined), undefined)
    rmSync(path.join(root.layerdb, 'sha256', digestHex(own.chainId), 'tar-split.json.gz'))
    await expect(store.history(own.chainId, '/a/file')).resolves.toMatchObject([{ entry: { size: 3 } }])
  })
}
