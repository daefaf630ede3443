/** That a process may be killed anywhere, and the store goes on from what is whole. */
import { readdirSync } from 'node:fs'
import path from 'node:path'
import { digestHex, nextChainId, parseChainId } from '@graphdriver/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { crashBase, crashLayer } from './crash-layer.ts'
import { killAt } from './kill-at.ts'
import { candidates, DataRoot, layerIds } from './data-root.ts'
import { bytesOf, diffIdOf, stream } from './tar-file.ts'

const baseId = parseChainId(diffIdOf(crashBase))
const layerId = nextChainId(baseId, diffIdOf(crashLayer))
const bytes = [1, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95].map((part) =>
  part === 1 ? 4096 : Math.floor((crashLayer.length * part) / 4096) * 4096,
)

for (const { name, definition, skipped, reason } of await candidates()) {
  describe.skipIf(skipped)(`a killed process on ${name}${reason}`, () => {
    let root: DataRoot

    beforeEach(async () => {
      root = new DataRoot(definition)
      const store = await root.store({ durability: 'safe' })
      await store.register(stream(crashBase), undefined)
    })

    afterEach(async () => {
      await root[Symbol.asyncDispose]()
    })

    const kill = (action: string, point: string): Promise<boolean> => killAt(root.path, name, action, point)

    /** Opens the store, checks that all it lists is whole, collects, registers the same layer, and checks again. */
    async function examine(): Promise<void> {
      const store = await root.store({ durability: 'safe' })
      expect(store.skipped).toEqual([])
      const tars = new Map([
        [baseId, crashBase],
        [layerId, crashLayer],
      ])
      expect(store.layers()[0]?.chainId).toBe(baseId)
      for (const { chainId } of store.layers()) {
        const layer = await store.get(chainId)
        expect((await bytesOf(layer.tar())).equals(tars.get(chainId) ?? Buffer.alloc(0))).toBe(true)
      }
      for (const record of store.writableLayers()) await (await store.getRWLayer(record.name)).release()
      await store.collect()
      expect(await store.orphans()).toEqual([])
      expect(root.leftovers()).toEqual([])
      const layer = await store.register(stream(crashLayer), baseId)
      expect((await bytesOf(layer.tar())).equals(crashLayer)).toBe(true)
      expect(await layerIds(store.driver)).toEqual(
        store
          .layers()
          .map((l) => l.cacheId)
          .sort(),
      )
      expect(readdirSync(path.join(root.layerdb, 'sha256')).sort()).toEqual(
        [baseId, layerId].map((id) => digestHex(id)).sort(),
      )
    }

    it.each(bytes)('after %i bytes of a layer leaves no half of it', async (count) => {
      expect(await kill('register', `bytes:${count}`)).toBe(true)
      await examine()
    })

    it.each(['register', 'delete', 'container'])(
      'before any step of a %s leaves a whole store',
      async (action) => {
        let died = true
        // The steps are the store's own: every other one with one driver, those between with the other.
        let step = name === 'vfs' ? 1 : 0
        while (died) {
          step += 2
          died = await kill(action, `call:${step}`)
          await examine()
          // Back to the base alone, which is held, for the next round.
          const store = await root.store()
          await store.get(baseId)
          await (await store.get(layerId)).release()
        }
        expect(step).toBeGreaterThan(action === 'delete' ? 3 : 10)
      },
      180_000,
    )
  })
}
