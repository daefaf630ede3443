/** That what is damaged is made again, that nothing else is touched, and that nothing is lost on the way. */
import { existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type ChainId, digestHex, nextChainId, parseChainId } from '@graphdriver/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type DirectoryLayerStore, dockerInitLayer, type Finding, type RepairOptions } from '../src/index.ts'
import { crashBase, crashLayer } from './crash-layer.ts'
import { candidates, DataRoot, layerIds } from './data-root.ts'
import { killAt } from './kill-at.ts'
import { bytesOf, diffIdOf, stream, tar } from './tar-file.ts'

const other = tar({ name: 'other', content: 'by itself' })
const baseId = parseChainId(diffIdOf(crashBase))
const layerId = nextChainId(baseId, diffIdOf(crashLayer))
const otherId = parseChainId(diffIdOf(other))
const sources = new Map([crashBase, crashLayer, other].map((bytes) => [diffIdOf(bytes), () => stream(bytes)]))

const from = (damaged: readonly ChainId[], rest: Partial<RepairOptions> = {}): RepairOptions => ({
  damaged,
  source: (diffId) => sources.get(diffId),
  requireUnused: () => Promise.resolve(),
  ...rest,
})

async function damageOf(store: DirectoryLayerStore): Promise<readonly Finding[]> {
  const findings = [
    ...(await Array.fromAsync(store.checkRecords())),
    ...(await Array.fromAsync(store.checkContents())),
  ]
  return findings.filter(({ kind }) => kind === 'damage')
}

for (const { name, definition, skipped, reason } of await candidates()) {
  describe.skipIf(skipped)(`repair on ${name}${reason}`, () => {
    let root: DataRoot

    beforeEach(async () => {
      root = new DataRoot(definition)
      const store = await root.store({ durability: 'safe' })
      await store.register(stream(crashBase), undefined)
      await store.register(stream(crashLayer), baseId)
      await store.register(stream(other), undefined)
      const container = await store.createRWLayer('box', layerId, { init: dockerInitLayer })
      await using mount = await container.mount()
      writeFileSync(path.join(mount.path, 'work'), 'hours of it')
      await mount[Symbol.asyncDispose]()
    })

    afterEach(async () => {
      await root[Symbol.asyncDispose]()
    })

    const opened = (): Promise<DirectoryLayerStore> => root.store({ durability: 'safe' })

    const cacheOf = (store: DirectoryLayerStore, chainId: ChainId): string | undefined =>
      store.layers().find((layer) => layer.chainId === chainId)?.cacheId

    /** Empties a file of the base, as a power cut does, past the driver. */
    async function damageBase(store: DirectoryLayerStore): Promise<void> {
      const { driver } = store
      const base = store.layers().find(({ chainId }) => chainId === baseId)
      if (base === undefined) throw new Error('no base')
      await using files = await (driver.ownFiles?.(base.cacheId) ?? driver.get(base.cacheId))
      truncateSync(path.join(files.path, 'base/file'))
    }

    async function expectContainer(store: DirectoryLayerStore): Promise<void> {
      const container = await store.getRWLayer('box')
      await using mount = await container.mount()
      expect(readFileSync(path.join(mount.path, 'work'), 'utf8')).toBe('hours of it')
      // Hidden by the layer between, and prepared by the init layer.
      expect([
        existsSync(path.join(mount.path, 'base/file')),
        existsSync(path.join(mount.path, 'etc')),
      ]).toEqual([false, true])
      expect(readFileSync(path.join(mount.path, 'file39')).length).toBe(39_000)
      expect((await container.changes()).map((change) => change.path)).toEqual(['/work'])
    }

    it('makes the layer and all that stands on it again, and touches nothing else', async () => {
      const store = await opened()
      await damageBase(store)
      const before = await layerIds(store.driver)
      const untouched = cacheOf(store, otherId)
      expect((await damageOf(store)).map(({ layer, file }) => [layer, file])).toEqual([[baseId, 'base/file']])
      const repaired = await store.repair(from([baseId]))
      expect(repaired).toMatchObject({ layers: [baseId, layerId], writable: ['box'], missing: [] })

      const after = await opened()
      expect([after.skipped, await damageOf(after), await after.orphans()]).toEqual([[], [], []])
      for (const [chainId, bytes] of [
        [baseId, crashBase],
        [layerId, crashLayer],
        [otherId, other],
      ] as const)
        expect((await bytesOf((await after.get(chainId)).tar())).equals(bytes)).toBe(true)
      expect(cacheOf(after, otherId)).toBe(untouched)
      await expectContainer(after)
      // What was replaced is kept, and then it is not.
      expect((await after.quarantined()).toSorted()).toEqual(before.filter((id) => id !== untouched))
      await after.dropQuarantined()
      expect(await layerIds(after.driver)).toHaveLength(before.length)
      expect([await after.quarantined(), await damageOf(after), root.leftovers()]).toEqual([[], [], []])
      await expectContainer(after)
    })

    it('leaves what no source has as it is, and says so', async () => {
      const store = await opened()
      await damageBase(store)
      const before = await layerIds(store.driver)
      const repaired = await store.repair(from([baseId, otherId], { source: () => undefined }))
      expect({ ...repaired, missing: repaired.missing.toSorted() }).toEqual({
        layers: [],
        writable: [],
        missing: [diffIdOf(crashBase), diffIdOf(other)].toSorted(),
        quarantine: undefined,
      })
      expect(await layerIds((await opened()).driver)).toEqual(before)
    })

    it('changes nothing when a container is in use, or a source is not what it says', async () => {
      const store = await opened()
      const before = await layerIds(store.driver)
      const inUse = new Error('in use')
      await expect(store.repair(from([baseId], { requireUnused: () => Promise.reject(inUse) }))).rejects.toBe(
        inUse,
      )
      const again = await opened()
      const wrong = from([baseId], { source: () => () => stream(other) })
      await expect(again.repair(wrong)).rejects.toMatchObject({ code: 'GD_DIGEST_MISMATCH' })
      const after = await opened()
      expect([await layerIds(after.driver), root.leftovers(), await after.quarantined()]).toEqual([
        before,
        [],
        [],
      ])
      await expectContainer(after)
    })

    it('killed at any step has lost nothing, and the next comes through', { timeout: 180_000 }, async () => {
      let step = 0
      for (let died = true; died; step += 3) {
        await damageBase(await opened())
        died = await killAt(root.path, name, 'repair', `call:${step + 1}`)
        const store = await opened()
        expect(store.skipped).toEqual([])
        await store.collect()
        // The base may be damaged or not; the others never are, and the container has what was written to it.
        expect((await damageOf(store)).filter(({ layer }) => layer !== baseId)).toEqual([])
        await expectContainer(store)
        await store.repair(from([baseId]))
        const after = await opened()
        expect([await damageOf(after), await after.orphans(), root.leftovers()]).toEqual([[], [], []])
        await after.dropQuarantined()
        await expectContainer(after)
        expect(await after.quarantined()).toEqual([])
        expect(readdirSync(path.join(root.layerdb, 'sha256')).toSorted()).toEqual(
          [baseId, layerId, otherId].map((id) => digestHex(id)).toSorted(),
        )
      }
      expect(step).toBeGreaterThan(15)
    })
  })
}
