/** Layers that are registered together: the same as one after another, or not at all. */
import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { type ChainId, digestHex, type Layer, nextChainId, type StackedLayer } from '@graphdriver/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { candidates, DataRoot, layerIds } from './data-root.ts'
import { bytesOf, diffIdOf, stream, tar } from './tar-file.ts'
import { wrapped } from './wrapped-driver.ts'

/** Each needs those below: directories that it does not have itself, links of theirs, what it deletes. */
const tars = [
  tar(
    { name: 'usr/', mode: 0o701 },
    { name: 'usr/lib/' },
    { name: 'usr/lib/a', content: 'a' },
    { name: 'lib', symlink: 'usr/lib' },
  ),
  tar({ name: 'usr/lib/b', content: 'b' }, { name: './', mode: 0o711 }),
  tar({ name: 'lib/c', content: 'c' }, { name: 'usr/lib/.wh.a' }),
  tar({ name: 'usr/.wh..wh..opq' }, { name: 'usr/d', content: 'd' }),
] as const

function layersOf(files: readonly Buffer[], opened: Buffer[] = []): readonly StackedLayer[] {
  return files.map((bytes) => ({
    diffId: diffIdOf(bytes),
    open: () => {
      opened.push(bytes)
      return stream(bytes)
    },
  }))
}

function chainOf(files: readonly Buffer[]): ChainId | undefined {
  let chain: ChainId | undefined
  for (const bytes of files) chain = nextChainId(chain, diffIdOf(bytes))
  return chain
}

for (const { name, definition, skipped, reason } of await candidates()) {
  describe.skipIf(skipped)(`layers registered together on ${name}${reason}`, () => {
    let root: DataRoot

    beforeEach(() => {
      root = new DataRoot(definition)
    })

    afterEach(async () => {
      await root[Symbol.asyncDispose]()
    })

    /** What is to be seen of a layer: names with their modes, and what files say. */
    async function shown(layer: Layer | undefined): Promise<readonly string[]> {
      if (layer === undefined) return []
      await using mount = await layer.mount()
      const names = ['.', ...(readdirSync(mount.path, { recursive: true }) as string[]).toSorted()]
      return names.map((file) => {
        const at = path.join(mount.path, file)
        const stat = lstatSync(at)
        return `${file} ${stat.mode.toString(8)} ${stat.isFile() ? readFileSync(at, 'utf8') : ''}`
      })
    }

    it('are what they are when each waits for the one below', async () => {
      const store = await root.store({ durability: 'safe' })
      const together = await store.registerStack(layersOf(tars), undefined)
      expect(together.map(({ chainId }) => chainId)).toEqual(
        tars.map((_, at) => chainOf(tars.slice(0, at + 1))),
      )
      const seen = await Promise.all(together.map(shown))
      for (const [at, layer] of together.entries()) expect(await bytesOf(layer.tar())).toEqual(tars[at])
      for (const layer of together.toReversed()) await layer.release()
      expect(store.layers()).toEqual([])
      const single: Layer[] = []
      for (const bytes of tars) single.push(await store.register(stream(bytes), single.at(-1)?.chainId))
      expect(await Promise.all(single.map(shown))).toEqual(seen)
    })

    it('are not read when they are there', async () => {
      const store = await root.store()
      const base = await store.register(stream(tars[0]), undefined)
      const opened: Buffer[] = []
      const existing: number[] = []
      const stack = layersOf(tars, opened).map((layer, at) => ({
        ...layer,
        onExisting: () => existing.push(at),
      }))
      const layers = await store.registerStack(stack, undefined)
      expect([opened, existing]).toEqual([tars.slice(1), [0]])
      expect(layers[0]?.cacheId).toBe(base.cacheId)
      expect(await store.registerStack(stack, undefined)).toHaveLength(tars.length)
      expect(opened).toHaveLength(3)
      expect(await store.registerStack([], base.chainId)).toEqual([])
    })

    it.each([0, 1, 3])('are not there, none of them, when number %i is another one', async (broken) => {
      const store = await root.store()
      const driver = await root.driver()
      const other = tar({ name: 'other' })
      const explained: unknown[] = []
      const stack = layersOf(tars).map((layer, at) =>
        at === broken
          ? {
              ...layer,
              open: () => stream(other),
              explain: async (error: unknown) => (explained.push(error), new Error('explained')),
            }
          : layer,
      )
      await expect(store.registerStack(stack, undefined)).rejects.toThrow('explained')
      expect(explained).toMatchObject([{ code: 'GD_DIGEST_MISMATCH' }])
      expect([store.layers(), await layerIds(driver), await store.orphans()]).toEqual([[], [], []])
      expect(readdirSync(path.join(root.layerdb, 'tmp'))).toEqual([])
      expect(await store.registerStack(layersOf(tars), undefined)).toHaveLength(tars.length)
    })

    it('are not there when the caller gives up, even if a source is silent', async () => {
      const store = await root.store()
      const driver = await root.driver()
      const controller = new AbortController()
      const silent: StackedLayer = {
        diffId: diffIdOf(tars[1]),
        open: () => ({
          [Symbol.asyncIterator]: () => ({
            next: () => new Promise(() => setImmediate(() => controller.abort(new Error('enough')))),
          }),
        }),
      }
      const stack = [...layersOf(tars.slice(0, 1)), silent]
      await expect(store.registerStack(stack, undefined, { signal: controller.signal })).rejects.toThrow(
        'enough',
      )
      expect([store.layers(), await layerIds(driver)]).toEqual([[], []])
    })

    it('are registered once when two want them at the same time', async () => {
      const store = await root.store()
      const driver = await root.driver()
      const [one, other] = await Promise.all([
        store.registerStack(layersOf(tars), undefined),
        store.registerStack(layersOf(tars), undefined),
      ])
      expect(one.map(({ cacheId }) => cacheId)).toEqual(other.map(({ cacheId }) => cacheId))
      expect(await layerIds(driver)).toHaveLength(tars.length)
      for (const layer of [...one, ...other].toReversed()) await layer.release()
      expect(await layerIds(driver)).toEqual([])
    })

    it('appear only when all of them are on the disk', async () => {
      const store = await root.store({ durability: 'safe' })
      let seen: readonly string[] = ['not asked']
      const stack = layersOf(tars).map((layer, at) => ({
        ...layer,
        open: () => {
          if (at === tars.length - 1)
            seen = existsSync(path.join(root.layerdb, 'sha256'))
              ? readdirSync(path.join(root.layerdb, 'sha256'))
              : []
          return stream(tars[at] ?? Buffer.alloc(0))
        },
      }))
      const layers = await store.registerStack(stack, undefined)
      expect(seen).toEqual([])
      expect(readdirSync(path.join(root.layerdb, 'sha256')).toSorted()).toEqual(
        layers.map(({ chainId }) => digestHex(chainId)).toSorted(),
      )
    })

    it('are refused whole when the stack would be too deep', async () => {
      const driver = await root.driver()
      const shallow = wrapped(driver, { capabilities: { ...driver.capabilities, maxDepth: 5 } })
      const store = await root.store({ driver: shallow })
      const opened: Buffer[] = []
      await expect(store.registerStack(layersOf(tars, opened), undefined)).rejects.toMatchObject({
        code: 'GD_MAX_DEPTH',
        details: { id: chainOf(tars.slice(0, 3)), depth: 4, limit: 3 },
      })
      expect(opened).toEqual([])
    })
  })
}
