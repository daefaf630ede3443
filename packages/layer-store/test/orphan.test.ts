/** What counts as left over, and what does not. */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { digestHex, parseLayerId, randomLayerId } from '@graphdriver/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { dockerInitLayer } from '../src/index.ts'
import { candidates, DataRoot, layerIds } from './data-root.ts'
import { stream, tar } from './tar-file.ts'
import { wrapped } from './wrapped-driver.ts'

const base = tar({ name: 'etc/' }, { name: 'etc/motd', content: 'hi\n' })

for (const { name, definition, skipped, reason } of await candidates()) {
  describe.skipIf(skipped)(`orphans on ${name}${reason}`, () => {
    let root: DataRoot

    beforeEach(() => {
      root = new DataRoot(definition)
    })

    afterEach(async () => {
      await root[Symbol.asyncDispose]()
    })

    it('are not what records name', async () => {
      const store = await root.store()
      const layer = await store.register(stream(base), undefined)
      await store.createRWLayer('c', layer.chainId, { init: dockerInitLayer })
      expect(await store.orphans()).toEqual([])
      expect(await store.collect()).toEqual([])
      expect(await layerIds(store.driver)).toHaveLength(3)
    })

    it('are the layers of a removal that did not end', async () => {
      const before = await root.store()
      const layer = await before.register(stream(base), undefined)
      const hex = digestHex(layer.chainId)
      const shelf = path.join(root.layerdb, 'sha256')
      renameSync(path.join(shelf, hex), path.join(shelf, `${hex}-${'b'.repeat(64)}-removing`))
      const store = await root.store()
      expect(await store.orphans()).toEqual([layer.cacheId])
      expect(await store.collect()).toEqual([layer.cacheId])
      expect([await layerIds(store.driver), root.leftovers()]).toEqual([[], []])
    })

    it('are layers that nothing names, those of a container before its init layer', async () => {
      const driver = await root.driver()
      const id = randomLayerId()
      const init = parseLayerId(`${id}-init`)
      await driver.createReadWrite(init)
      await driver.createReadWrite(id, { parent: init })
      const removed: string[] = []
      const store = await root.store({
        driver: wrapped(driver, {
          remove: async (layer, options) => {
            removed.push(layer)
            await driver.remove(layer, options)
          },
        }),
      })
      expect(await store.orphans()).toEqual([id, init])
      await store.collect()
      expect(removed).toEqual([id, init])
      expect(await layerIds(driver)).toEqual([])
    })

    it('are removed even if the driver insists on another order', async () => {
      const driver = await root.driver()
      const ids = [randomLayerId(), randomLayerId(), randomLayerId()].sort()
      for (const id of ids) await driver.create(id)
      const store = await root.store({
        driver: wrapped(driver, {
          remove: async (layer, options) => {
            const above = ids[ids.indexOf(layer) + 1]
            if (above !== undefined && (await driver.exists(above))) throw new Error(`${above} stands on it`)
            await driver.remove(layer, options)
          },
        }),
      })
      expect(await store.collect()).toEqual(ids)
      expect(await layerIds(driver)).toEqual([])
    })

    it('are, beside BuildKit, only what a transaction or removal named', async () => {
      const driver = await root.driver()
      const theirs = randomLayerId()
      const ours = randomLayerId()
      await driver.create(theirs)
      await driver.create(ours)
      mkdirSync(path.join(root.path, 'buildkit'))
      const transaction = path.join(root.layerdb, 'tmp', 'write-set-123')
      mkdirSync(transaction, { recursive: true })
      writeFileSync(path.join(transaction, 'cache-id'), ours)
      const removed = randomLayerId()
      await driver.create(removed)
      const removal = path.join(root.layerdb, 'sha256', `${'c'.repeat(64)}-${'d'.repeat(64)}-removing`)
      mkdirSync(removal, { recursive: true })
      writeFileSync(path.join(removal, 'cache-id'), removed)
      const store = await root.store({ driver })
      expect(await store.orphans()).toEqual([ours, removed].sort())
      await store.collect()
      expect(await layerIds(driver)).toEqual([theirs])
      expect(root.leftovers()).toEqual([])
    })

    it('are not what a transaction names if a record does too', async () => {
      const store = await root.store()
      const layer = await store.register(stream(base), undefined)
      const transaction = path.join(root.layerdb, 'tmp', 'write-set-123')
      mkdirSync(transaction, { recursive: true })
      writeFileSync(path.join(transaction, 'cache-id'), layer.cacheId)
      expect(await store.collect()).toEqual([])
      expect(await layerIds(store.driver)).toEqual([layer.cacheId])
      expect(root.leftovers()).toEqual([])
    })
  })
}
