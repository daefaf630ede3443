/** Many calls at once, within one store and between two stores on one root. */
import { mkdirSync, rmSync } from 'node:fs'
import fs from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import path from 'node:path'
import { digestHex, type Layer } from '@graphdriver/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { dockerInitLayer } from '../src/index.ts'
import { candidates, DataRoot, layerIds } from './data-root.ts'
import { bytesOf, stream, tar } from './tar-file.ts'

const base = tar({ name: 'etc/' }, { name: 'etc/motd', content: 'hi\n' })
const numbered = (number: number): Buffer => tar({ name: `file${number}`, content: `content ${number}` })

for (const { name, definition, skipped, reason } of await candidates()) {
  describe.skipIf(skipped)(`concurrent use on ${name}${reason}`, () => {
    let root: DataRoot

    beforeEach(() => {
      root = new DataRoot(definition)
    })

    afterEach(async () => {
      await root[Symbol.asyncDispose]()
    })

    it('registers one layer many times as one', async () => {
      const store = await root.store()
      const layers = await Promise.all(
        Array.from({ length: 8 }, () => store.register(stream(base), undefined)),
      )
      expect(new Set(layers.map((layer) => layer.cacheId)).size).toBe(1)
      expect(await layerIds(store.driver)).toEqual([layers[0]?.cacheId])
      const removed = await Promise.all(layers.map((layer) => layer.release()))
      expect(removed.flat()).toHaveLength(1)
      expect([await layerIds(store.driver), root.leftovers()]).toEqual([[], []])
    })

    it('registers different layers side by side', async () => {
      const store = await root.store()
      const below = await store.register(stream(base), undefined)
      const layers = await Promise.all(
        Array.from({ length: 12 }, (_, i) => store.register(stream(numbered(i)), below.chainId)),
      )
      expect(store.layers()).toHaveLength(13)
      for (const [i, layer] of layers.entries()) expect(await bytesOf(layer.tar())).toEqual(numbered(i))
    })

    it('registers again what is being deleted', async () => {
      const store = await root.store()
      let layer = await store.register(stream(base), undefined)
      for (let round = 0; round < 20; round++) {
        const [, again] = await Promise.all([layer.release(), store.register(stream(base), undefined)])
        expect(await bytesOf(again.tar())).toEqual(base)
        layer = again
      }
      expect(await layerIds(store.driver)).toEqual([layer.cacheId])
      expect(root.leftovers()).toEqual([])
    })

    it('keeps a parent that is released while a layer is put on it', async () => {
      const store = await root.store()
      const below = await store.register(stream(base), undefined)
      const released: Promise<unknown>[] = []
      const releasing = async function* (): AsyncGenerator<Uint8Array> {
        released.push(below.release())
        await Promise.all(released)
        yield* stream(numbered(1))
      }
      const above = await store.register(releasing(), below.chainId)
      expect(await released[0]).toEqual([])
      expect((await above.release()).map((layer) => layer.chainId)).toEqual([above.chainId, below.chainId])
    })

    it('deletes a parent that was released while a layer failed to be put on it', async () => {
      const store = await root.store()
      const below = await store.register(stream(base), undefined)
      const failing = async function* (): AsyncGenerator<Uint8Array> {
        yield* stream(numbered(1).subarray(0, 515))
        await below.release()
      }
      await expect(store.register(failing(), below.chainId)).rejects.toMatchObject({
        code: 'GD_ARCHIVE_INVALID',
      })
      expect([store.layers(), await layerIds(store.driver), root.leftovers()]).toEqual([[], [], []])
    })

    it('gives a name to one writable layer only', async () => {
      const store = await root.store()
      const results = await Promise.allSettled(
        Array.from({ length: 5 }, () => store.createRWLayer('c', undefined, { init: dockerInitLayer })),
      )
      expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1)
      expect(await layerIds(store.driver)).toHaveLength(2)
    })

    it('collects nothing that is on its way', async () => {
      const store = await root.store()
      const below = await store.register(stream(base), undefined)
      const collecting = async function* (number: number): AsyncGenerator<Uint8Array> {
        for await (const chunk of stream(numbered(number), 300)) {
          expect(await store.collect()).toEqual([])
          yield chunk
        }
      }
      const layers = await Promise.all([
        store.register(collecting(1), below.chainId),
        store.register(collecting(2), below.chainId),
        store.createRWLayer('c', below.chainId, { init: async () => void (await store.collect()) }),
      ])
      expect(layers).toHaveLength(3)
      expect(await layerIds(store.driver)).toHaveLength(5)
      expect((await root.store()).skipped).toEqual([])
    })

    it('finds what another store registered, and adopts it', async () => {
      const one = await root.store()
      const two = await root.store()
      const mine = await one.register(stream(base), undefined)
      const found = await two.get(mine.chainId)
      const adopted = await two.register(stream(base), undefined)
      expect([found.cacheId, adopted.cacheId]).toEqual([mine.cacheId, mine.cacheId])
      const above = await two.register(stream(numbered(1)), mine.chainId)
      const rw = await one.createRWLayer('c', above.chainId)
      expect((await two.getRWLayer('c')).mountId).toBe(rw.mountId)
      await expect(two.createRWLayer('c', undefined)).rejects.toMatchObject({ code: 'GD_NAME_CONFLICT' })
      expect(await layerIds(one.driver)).toHaveLength(3)
    })

    it('adopts what another store registered at the last moment', async () => {
      const one = await root.store()
      const two = await root.store()
      const { chmod } = fs
      const winners: Layer[] = []
      // The last call before the record gets its name.
      fs.chmod = async (...args) => {
        fs.chmod = chmod
        syncBuiltinESMExports()
        winners.push(await two.register(stream(base), undefined))
        await chmod(...args)
      }
      syncBuiltinESMExports()
      await using layer = await one.register(stream(base), undefined)
      expect(layer.cacheId).toBe(winners[0]?.cacheId)
      expect(await layerIds(one.driver)).toEqual([layer.cacheId])
      expect(root.leftovers()).toEqual([])
    })

    it('does not believe in what another store deleted', async () => {
      const one = await root.store()
      const mine = await one.register(stream(base), undefined)
      const two = await root.store()
      await one.createRWLayer('c', undefined)
      const theirs = await two.getRWLayer('c')
      await mine.release()
      expect(two.has(mine.chainId)).toBe(true)
      await expect(two.get(mine.chainId)).rejects.toMatchObject({ code: 'GD_LAYER_NOT_FOUND' })
      expect(two.has(mine.chainId)).toBe(false)
      await (await one.getRWLayer('c')).release()
      await expect(two.getRWLayer('c')).rejects.toMatchObject({ code: 'GD_WRITABLE_LAYER_NOT_FOUND' })
      await expect(theirs.mount()).rejects.toMatchObject({ code: 'GD_WRITABLE_LAYER_NOT_FOUND' })
    })

    it('counts no longer what another store deleted', async () => {
      const one = await root.store()
      const below = await one.register(stream(base), undefined)
      const above = await one.register(stream(numbered(1)), below.chainId)
      const two = await root.store()
      await above.release()
      await expect(two.get(above.chainId)).rejects.toMatchObject({ code: 'GD_LAYER_NOT_FOUND' })
      const held = await two.get(below.chainId)
      expect((await held.release()).map((layer) => layer.chainId)).toEqual([below.chainId])
    })

    it('does not delete what another store registered in the place of its own', async () => {
      const one = await root.store()
      const two = await root.store()
      const mine = await one.register(stream(base), undefined)
      const theirs = await two.get(mine.chainId)
      await mine.release()
      const again = await one.register(stream(base), undefined)
      await theirs.release()
      expect(await bytesOf(again.tar())).toEqual(base)
      expect((await root.store()).has(again.chainId)).toBe(true)
    })

    it('is not kept from registering by an empty directory in the place of the record', async () => {
      const store = await root.store()
      const layer = await store.register(stream(base), undefined)
      await layer.release()
      const directory = path.join(root.layerdb, 'sha256', digestHex(layer.chainId))
      mkdirSync(directory, { recursive: true })
      await using again = await store.register(stream(base), undefined)
      expect(await bytesOf(again.tar())).toEqual(base)
      await again.release()
      mkdirSync(path.join(directory, 'junk'), { recursive: true })
      await using third = await store.register(stream(base), undefined)
      expect(await bytesOf(third.tar())).toEqual(base)
      rmSync(directory, { recursive: true })
    })
  })
}
