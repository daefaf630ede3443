/** What a power cut may leave of a store that does not wait for the disk, and that it is told. */
import { readdirSync, truncateSync } from 'node:fs'
import path from 'node:path'
import { type ChainId, digestHex, isGraphDriverError, nextChainId, parseChainId } from '@graphdriver/core'
import { describe, expect, it } from 'vitest'
import { candidates, DataRoot } from './data-root.ts'
import type { Durability } from '../src/index.ts'
import { bytesOf, diffIdOf, stream, tar } from './tar-file.ts'

const base = tar({ name: 'base/' }, { name: 'base/file', content: 'what was written' })
const upper = tar({ name: 'base/' }, { name: 'base/other', content: 'on top' })
const baseId = parseChainId(diffIdOf(base))
const upperId = nextChainId(baseId, diffIdOf(upper))

function noted(root: DataRoot): readonly string[] {
  try {
    return readdirSync(path.join(root.layerdb, '.graphdriver-unflushed'))
  } catch {
    return []
  }
}

/** As a power cut leaves a file whose data was never flushed. */
async function lose(root: DataRoot, layer: ChainId): Promise<void> {
  const store = await root.store({ boot: 'first' })
  const held = await store.get(layer)
  {
    await using mount = await held.mount()
    truncateSync(path.join(mount.path, 'base/file'), 0)
  }
  await store[Symbol.asyncDispose]()
}

async function fill(root: DataRoot, durability: Durability): Promise<void> {
  const store = await root.store({ durability, boot: 'first' })
  await store.register(stream(base), undefined)
  await store.register(stream(upper), baseId)
  await store[Symbol.asyncDispose]()
}

const vfs = (await candidates()).find(({ name }) => name === 'vfs')
if (vfs === undefined) throw new Error('vfs is not among the drivers')

describe.skipIf(vfs.skipped)(`durability${vfs.reason}`, () => {
  const { definition } = vfs

  it('safe leaves nothing to be verified', async () => {
    await using root = new DataRoot(definition)
    await fill(root, 'safe')
    expect(noted(root)).toEqual([])
  })

  it.each(['fast', 'volatile'] as const)('%s notes what is not flushed, until it is', async (durability) => {
    await using root = new DataRoot(definition)
    await fill(root, durability)
    expect(noted(root)).toEqual([baseId, upperId].map((id) => digestHex(id)).toSorted())
    // Still the same boot: the kernel has all of it.
    const store = await root.store({ durability: 'safe', boot: 'first' })
    const third = tar({ name: 'third', content: '3' })
    await store.register(stream(third), upperId)
    expect(noted(root)).toEqual([])
  })

  it('after another start what did not survive is found before it is used, and named, and what did is not asked again', async () => {
    await using root = new DataRoot(definition)
    await fill(root, 'fast')
    await lose(root, baseId)
    const store = await root.store({ boot: 'second' })
    const layer = await store.get(upperId)
    const isFound = (error: unknown): boolean =>
      isGraphDriverError(error, 'GD_LAYER_CORRUPT') &&
      error.details.id === baseId &&
      /base\/file: expected 16 bytes, found 0 bytes; graphdriver repair/.test(error.message)
    await expect(layer.mount()).rejects.toSatisfy(isFound)
    await expect(store.createRWLayer('container', upperId)).rejects.toSatisfy(isFound)
    await expect(store.register(stream(tar({ name: 'x' })), upperId)).rejects.toSatisfy(isFound)
    await expect(
      store.registerStack(
        [{ diffId: diffIdOf(tar({ name: 'x' })), open: () => stream(tar({ name: 'x' })) }],
        upperId,
      ),
    ).rejects.toSatisfy(isFound)
    expect(store.writableLayers()).toEqual([])
    expect(store.layers().length).toBe(2)
    expect(root.leftovers()).toEqual([])
    await store.repair({
      damaged: [baseId],
      source: (diffId) => (diffId === diffIdOf(base) ? () => stream(base) : () => stream(upper)),
      requireUnused: () => Promise.resolve(),
    })
    const mended = await root.store({ boot: 'second' })
    const container = await mended.createRWLayer('container', upperId)
    expect(noted(root)).toEqual([])
    await container.release()
  })

  it('what survived can be used after another start', async () => {
    await using root = new DataRoot(definition)
    await fill(root, 'volatile')
    const store = await root.store({ boot: 'second' })
    expect(await bytesOf((await store.get(upperId)).tar())).toEqual(upper)
    const container = await store.createRWLayer('container', upperId)
    expect(noted(root)).toEqual([])
    await using mount = await container.mount()
    expect(readdirSync(path.join(mount.path, 'base'))).toEqual(['file', 'other'])
  })

  it('a layer that is deleted is not looked for', async () => {
    await using root = new DataRoot(definition)
    await fill(root, 'fast')
    const store = await root.store({ boot: 'second' })
    await store.get(baseId)
    await (await store.get(upperId)).release()
    expect(noted(root)).toEqual([digestHex(baseId)])
    await store.collect()
    expect(noted(root)).toEqual([digestHex(baseId)])
  })
})
