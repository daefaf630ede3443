/** That whatever fails leaves nothing, and that what is left half way can be taken up again. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Readable } from 'node:stream'
import { digestHex, parseChainId } from '@graphdriver/core'
import { mount, MS, unmountTree } from '@graphdriver/sys'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { candidates, DataRoot, layerIds } from './data-root.ts'
import { bytesOf, stream, tar } from './tar-file.ts'
import { wrapped } from './wrapped-driver.ts'

const unprivileged = process.geteuid?.() !== 0
const base = tar({ name: 'etc/' }, { name: 'etc/motd', content: 'hi\n' })
const big = tar(
  ...Array.from({ length: 200 }, (_, i) => ({ name: `file${i}`, content: Buffer.alloc(20_000, i) })),
)

for (const { name, definition, skipped, reason } of await candidates()) {
  describe.skipIf(skipped)(`failures on ${name}${reason}`, () => {
    let root: DataRoot

    beforeEach(() => {
      root = new DataRoot(definition)
    })

    afterEach(async () => {
      await root[Symbol.asyncDispose]()
    })

    it('of the source are passed on untouched and leave nothing', async () => {
      const store = await root.store()
      const failure = new Error('connection reset')
      let left = false
      const broken = async function* (): AsyncGenerator<Uint8Array> {
        try {
          yield big.subarray(0, 100_000)
          throw failure
        } finally {
          left = true
        }
      }
      await expect(store.register(broken(), undefined)).rejects.toBe(failure)
      expect(left).toBe(true)
      expect([store.layers(), await layerIds(store.driver), root.leftovers()]).toEqual([[], [], []])
    })

    it.each([
      ['a truncated tar', big.subarray(0, 123_456)],
      ['no tar at all', Buffer.from('this is a text file\n'.repeat(100))],
      ['a tar with a climbing path', tar({ name: '../../escape', content: 'x' })],
    ])('by %s leave nothing', async (_, bytes) => {
      const store = await root.store()
      await expect(store.register(stream(bytes), undefined)).rejects.toMatchObject({
        code: expect.stringMatching(/^GD_ARCHIVE_/),
      })
      expect([store.layers(), await layerIds(store.driver), root.leftovers()]).toEqual([[], [], []])
    })

    it('of the source are told as they were, whatever the driver makes of them', async () => {
      const driver = await root.driver()
      const store = await root.store({
        driver: wrapped(driver, {
          applyDiff: async (id, parent, passed) => {
            try {
              return await driver.applyDiff(id, parent, passed)
            } catch (cause) {
              throw new Error('the driver failed', { cause })
            }
          },
        }),
      })
      const failure = new Error('connection reset')
      const broken = async function* (): AsyncGenerator<Uint8Array> {
        yield big.subarray(0, 1000)
        throw failure
      }
      await expect(store.register(broken(), undefined)).rejects.toBe(failure)
    })

    it('of the driver release the source', async () => {
      const driver = await root.driver()
      const failure = new Error('no')
      const store = await root.store({
        driver: wrapped(driver, {
          applyDiff: async (_id, _parent, passed) => {
            for await (const chunk of passed) if (chunk.length > 0) break
            throw failure
          },
        }),
      })
      let left = false
      const watched = async function* (): AsyncGenerator<Uint8Array> {
        try {
          yield* stream(big)
        } finally {
          left = true
        }
      }
      await expect(store.register(watched(), undefined)).rejects.toBe(failure)
      expect(left).toBe(true)
      expect([await layerIds(driver), root.leftovers()]).toEqual([[], []])
    })

    it('of the driver do not wait for a source that is silent', async () => {
      const driver = await root.driver()
      const failure = new Error('no room')
      const store = await root.store({
        driver: wrapped(driver, {
          applyDiff: (_id, _parent, passed) => {
            const chunks = passed[Symbol.asyncIterator]()
            void chunks.next().catch(() => undefined)
            return Promise.reject(failure)
          },
        }),
      })
      const silent = async function* (): AsyncGenerator<Uint8Array> {
        await new Promise(() => undefined)
        yield base
      }
      await expect(store.register(silent(), undefined)).rejects.toBe(failure)
      expect([await layerIds(driver), root.leftovers()]).toEqual([[], []])
    })

    it('to make the data durable come before the record is visible, and do not matter to the fast', async () => {
      const driver = await root.driver()
      const elsewhere = wrapped(driver, { home: path.join(root.path, 'not-there') })
      const safe = await root.store({ driver: elsewhere, durability: 'safe' })
      await expect(safe.register(stream(base), undefined)).rejects.toMatchObject({ code: 'ENOENT' })
      expect([safe.layers(), await layerIds(driver), root.leftovers()]).toEqual([[], [], []])
      const fast = await root.store({ driver: elsewhere, durability: 'fast' })
      await using layer = await fast.register(stream(base), undefined)
      expect(layer.depth).toBe(1)
    })

    it('before anything was read release the source too', async () => {
      const store = await root.store()
      const source = Readable.from([base])
      const missing = parseChainId(`sha256:${'0'.repeat(64)}`)
      await expect(store.register(source, missing)).rejects.toMatchObject({ code: 'GD_LAYER_NOT_FOUND' })
      expect(source.destroyed).toBe(true)
    })

    it('by abort end at once, even if the source is silent, with the reason, and leave nothing', async () => {
      const store = await root.store()
      const controller = new AbortController()
      const reason = new Error('interrupted')
      const silent = async function* (): AsyncGenerator<Uint8Array> {
        yield big.subarray(0, 300_000)
        setImmediate(() => {
          controller.abort(reason)
        })
        await new Promise(() => undefined)
      }
      await expect(store.register(silent(), undefined, { signal: controller.signal })).rejects.toBe(reason)
      expect([store.layers(), await layerIds(store.driver), root.leftovers()]).toEqual([[], [], []])
      await expect(store.register(stream(base), undefined, { signal: controller.signal })).rejects.toBe(
        reason,
      )
      await expect(store.createRWLayer('c', undefined, { signal: controller.signal })).rejects.toBe(reason)
      await using layer = await store.register(stream(big), undefined)
      expect(layer.depth).toBe(1)
    })

    it('by abort end a mere verification too', async () => {
      const store = await root.store()
      const { diffId } = await store.register(stream(big), undefined)
      const controller = new AbortController()
      const reason = new Error('interrupted')
      const silent = async function* (): AsyncGenerator<Uint8Array> {
        yield big.subarray(0, 300_000)
        setImmediate(() => {
          controller.abort(reason)
        })
        await new Promise(() => undefined)
      }
      const { signal } = controller
      await expect(store.register(silent(), undefined, { diffId, signal })).rejects.toBe(reason)
      expect(store.layers()).toHaveLength(1)
    })

    it('to delete a layer leave it out of sight, and the release can be repeated', async () => {
      const driver = await root.driver()
      let failures = 0
      const failing = wrapped(driver, {
        remove: async (id, options) => {
          if (failures-- > 0) throw new Error('busy')
          await driver.remove(id, options)
        },
      })
      const store = await root.store({ driver: failing })
      const l1 = await store.register(stream(base), undefined)
      const l2 = await store.register(stream(big), l1.chainId)
      await l1.release()
      failures = 1
      await expect(l2.release()).rejects.toThrow('busy')
      expect(store.layers().map((layer) => layer.chainId)).toEqual([l1.chainId])
      expect(await driver.exists(l1.cacheId)).toBe(true)
      expect((await l2.release()).map((layer) => layer.chainId)).toEqual([l2.chainId, l1.chainId])
      expect([store.layers(), await layerIds(driver), root.leftovers()]).toEqual([[], [], []])
    })

    it.skipIf(unprivileged)('to take a record away keep the layer, and count once (needs root)', async () => {
      const store = await root.store()
      const layer = await store.register(stream(base), undefined)
      const record = path.join(root.layerdb, 'sha256', digestHex(layer.chainId))
      // What is a mount point cannot be renamed.
      mount({ source: record, target: record, flags: MS.BIND })
      await expect(layer.release()).rejects.toMatchObject({ code: 'EBUSY' })
      unmountTree(record)
      const other = await store.get(layer.chainId)
      expect(await layer.release()).toEqual([])
      expect(await bytesOf(other.tar())).toEqual(base)
      expect(await other.release()).toHaveLength(1)
      expect(await layerIds(store.driver)).toEqual([])
    })

    it('to delete a layer are made good by the collection of a later process', async () => {
      const driver = await root.driver()
      const failing = wrapped(driver, { remove: () => Promise.reject(new Error('busy')) })
      const before = await root.store({ driver: failing })
      const l1 = await before.register(stream(base), undefined)
      await expect(l1.release()).rejects.toThrow('busy')
      const store = await root.store()
      expect(store.layers()).toEqual([])
      expect(await store.orphans()).toEqual([l1.cacheId])
      const again = await store.register(stream(base), undefined)
      expect(await store.collect()).toEqual([l1.cacheId])
      expect([await layerIds(driver), root.leftovers()]).toEqual([[again.cacheId], []])
      expect(await bytesOf(again.tar())).toEqual(base)
    })

    it('to clean up after a failure leave what a collection needs', async () => {
      const driver = await root.driver()
      const failing = wrapped(driver, { remove: () => Promise.reject(new Error('busy')) })
      const store = await root.store({ driver: failing })
      await expect(store.register(stream(big.subarray(0, 5000)), undefined)).rejects.toMatchObject({
        code: 'GD_ARCHIVE_INVALID',
      })
      mkdirSync(path.join(root.path, 'buildkit'))
      const later = await root.store({ driver })
      expect(await later.collect()).toHaveLength(1)
      expect([await layerIds(driver), root.leftovers()]).toEqual([[], []])
    })

    it('of collection keep the note of what is left to do', async () => {
      const driver = await root.driver()
      const before = await root.store()
      const l1 = await before.register(stream(base), undefined)
      const shelf = path.join(root.layerdb, 'sha256')
      const hex = digestHex(l1.chainId)
      execFileSync('mv', [path.join(shelf, hex), path.join(shelf, `${hex}-${'0'.repeat(64)}-removing`)])
      const failing = wrapped(driver, { remove: () => Promise.reject(new Error('busy')) })
      const store = await root.store({ driver: failing })
      await expect(store.collect()).rejects.toThrow('busy')
      expect(await (await root.store()).collect()).toEqual([l1.cacheId])
      expect(readdirSync(shelf)).toEqual([])
    })

    // A btrfs has no size of three megabytes; the conformance suite fills a larger one.
    const noSmallDisk = unprivileged || name === 'btrfs'
    it.skipIf(noSmallDisk)('by a full disk leave a store that works (needs root)', async () => {
      const directory = mkdtempSync(path.join(tmpdir(), 'gd-full-'))
      mount({ source: 'tmpfs', target: directory, type: 'tmpfs', data: 'size=3m' })
      try {
        await using full = new DataRoot(definition, directory)
        const store = await full.store({ durability: 'safe' })
        await using small = await store.register(stream(base), undefined)
        await expect(store.register(stream(big), small.chainId)).rejects.toMatchObject({ code: 'ENOSPC' })
        expect(store.layers()).toHaveLength(1)
        expect([await layerIds(store.driver), full.leftovers()]).toEqual([[small.cacheId], []])
        writeFileSync(path.join(directory, 'filler'), Buffer.alloc(1))
        await using other = await store.register(stream(tar({ name: 'a', content: 'a' })), small.chainId)
        expect(await bytesOf(other.tar())).toEqual(tar({ name: 'a', content: 'a' }))
      } finally {
        unmountTree(directory)
        rmSync(directory, { recursive: true, force: true })
      }
    })
  })
}
