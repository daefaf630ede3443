/** The life of layers, on real drivers. */
import { existsSync, lstatSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { digestHex, emptyDiffId, parseChainId } from '@graphdriver/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { candidates, DataRoot, layerIds } from './data-root.ts'
import { bytesOf, diffIdOf, stream, tar } from './tar-file.ts'
import { wrapped } from './wrapped-driver.ts'

const base = tar({ name: 'etc/' }, { name: 'etc/motd', content: 'hi\n' })
const whiteout = tar({ name: 'etc/' }, { name: 'etc/.wh.motd', mode: 0o600 })
const nothing = Buffer.alloc(1024)
const missing = parseChainId(`sha256:${'0'.repeat(64)}`)

for (const { name, definition, skipped, reason } of await candidates()) {
  describe.skipIf(skipped)(`the layer store on ${name}${reason}`, () => {
    let root: DataRoot

    beforeEach(() => {
      root = new DataRoot(definition)
    })

    afterEach(async () => {
      await root[Symbol.asyncDispose]()
    })

    it('gives layers the DiffIDs, ChainIDs and sizes that Docker gives them', async () => {
      const store = await root.store({ durability: 'safe' })
      const first = await store.register(stream(base), undefined)
      const second = await store.register(stream(whiteout), first.chainId)
      const third = await store.register(stream(nothing), second.chainId)
      expect(first).toMatchObject({
        diffId: 'sha256:ddc9d329ca804460c62dfaf5c6edec33030710b8524b80a1ca387887a7a4e24a',
        chainId: 'sha256:ddc9d329ca804460c62dfaf5c6edec33030710b8524b80a1ca387887a7a4e24a',
        parent: undefined,
        diffSize: 3,
        size: 3,
        depth: 1,
      })
      expect(second).toMatchObject({
        diffId: 'sha256:de654e8863bcbcffd080794545556d0ea306b812eb94d3d897111c96dd28fd8c',
        chainId: 'sha256:14043decb07aa73be603d016509243df68b6d2c39228d9ceef67400ecb504bba',
        parent: first.chainId,
        diffSize: 0,
        size: 3,
        depth: 2,
      })
      expect(third).toMatchObject({
        diffId: emptyDiffId,
        chainId: 'sha256:7b8f750cb6274b33d022df28046857fbd3fcac894597aa18190eb0440e1f1f2d',
        depth: 3,
      })
      expect(await bytesOf(third.tar())).toEqual(nothing)
      await using mount = await second.mount()
      expect(readdirSync(path.join(mount.path, 'etc'))).toEqual([])
    })

    it('writes the record of a layer file for file as Docker does', async () => {
      const store = await root.store()
      const first = await store.register(stream(base), undefined)
      const second = await store.register(stream(whiteout), first.chainId)
      const directory = path.join(root.layerdb, 'sha256', digestHex(second.chainId))
      const read = (file: string): string => readFileSync(path.join(directory, file), 'utf8')
      expect(readdirSync(directory).sort()).toEqual([
        'cache-id',
        'diff',
        'parent',
        'size',
        'tar-split.json.gz',
      ])
      expect([read('diff'), read('size'), read('cache-id'), read('parent')]).toEqual([
        second.diffId,
        '0',
        second.cacheId,
        first.chainId,
      ])
      expect(existsSync(path.join(root.layerdb, 'sha256', digestHex(first.chainId), 'parent'))).toBe(false)
      expect(lstatSync(directory).mode & 0o777).toBe(0o700)
      expect(lstatSync(path.join(directory, 'diff')).mode & 0o777).toBe(0o644)
      expect(lstatSync(root.layerdb).mode & 0o777).toBe(0o700)
      expect(root.leftovers()).toEqual([])
    })

    it('registers what a writable layer changed, and shows it in the next', async () => {
      const store = await root.store()
      const one = await store.createRWLayer('one', undefined)
      {
        await using mount = await one.mount()
        writeFileSync(path.join(mount.path, 'testfile.txt'), 'some test data')
      }
      const layer = await one.commit()
      expect(await one.release()).toEqual([])
      const two = await store.createRWLayer('two', layer.chainId)
      await using mount = await two.mount()
      expect(readFileSync(path.join(mount.path, 'testfile.txt'), 'utf8')).toBe('some test data')
    })

    it('deletes layers with the last reference, topmost first, and says which', async () => {
      const store = await root.store()
      const l1 = await store.register(stream(tar({ name: 'a', content: 'a' })), undefined)
      const l2 = await store.register(stream(tar({ name: 'b', content: 'bb' })), l1.chainId)
      const l3a = await store.register(stream(tar({ name: 'c', content: 'ccc' })), l2.chainId)
      const l3b = await store.register(stream(tar({ name: 'd', content: 'dddd' })), l2.chainId)
      expect(await l1.release()).toEqual([])
      expect(await l2.release()).toEqual([])
      expect(store.layers().map((layer) => layer.chainId)).toEqual([l1, l2, l3a, l3b].map((l) => l.chainId))
      expect((await l3b.release()).map((layer) => layer.chainId)).toEqual([l3b.chainId])
      const removed = await l3a.release()
      expect(removed).toMatchObject([
        { chainId: l3a.chainId, diffId: l3a.diffId, size: 6, diffSize: 3 },
        { chainId: l2.chainId, diffId: l2.diffId, size: 3, diffSize: 2 },
        { chainId: l1.chainId, diffId: l1.diffId, size: 1, diffSize: 1 },
      ])
      expect(await l3a.release()).toEqual([])
      expect(store.layers()).toEqual([])
      expect(await layerIds(store.driver)).toEqual([])
      expect(readdirSync(path.join(root.layerdb, 'sha256'))).toEqual([])
    })

    it('finds everything again when it is opened again', async () => {
      const before = await root.store()
      const l1 = await before.register(stream(base), undefined)
      const l2 = await before.register(stream(whiteout), l1.chainId)
      const l3 = await before.register(stream(nothing), l2.chainId)
      const rw = await before.createRWLayer('some-mount_name', l3.chainId)
      {
        await using mount = await rw.mount()
        writeFileSync(path.join(mount.path, 'testfile.txt'), 'nothing here')
      }
      const store = await root.store()
      expect(store.skipped).toEqual([])
      expect(store.layers()).toEqual(before.layers())
      expect(store.writableLayers()).toEqual(before.writableLayers())
      const again = await store.get(l3.chainId)
      await expect(store.createRWLayer('some-mount_name', l3.chainId)).rejects.toMatchObject({
        code: 'GD_NAME_CONFLICT',
      })
      const found = await store.getRWLayer('some-mount_name')
      {
        await using one = await found.mount()
        await using two = await found.mount()
        expect(two.path).toBe(one.path)
        expect(readFileSync(path.join(two.path, 'testfile.txt'), 'utf8')).toBe('nothing here')
      }
      expect(await found.release()).toEqual([])
      expect(await found.release()).toEqual([])
      expect((await again.release()).map((layer) => layer.chainId)).toEqual([
        l3.chainId,
        l2.chainId,
        l1.chainId,
      ])
      expect(await layerIds(store.driver)).toEqual([])
      expect(readdirSync(path.join(root.layerdb, 'mounts'))).toEqual([])
    })

    it('keeps layers that nobody holds after a restart until somebody releases them', async () => {
      const l1 = await (await root.store()).register(stream(base), undefined)
      const store = await root.store()
      await expect(store.register(stream(Buffer.from('no tar')), l1.chainId)).rejects.toMatchObject({
        code: 'GD_ARCHIVE_INVALID',
      })
      await expect(store.createRWLayer('x', l1.chainId, { init: async () => raise('init') })).rejects.toThrow(
        'init',
      )
      expect(store.has(l1.chainId)).toBe(true)
      const held = await store.get(l1.chainId)
      expect(await held.release()).toHaveLength(1)
    })

    it('gives one layer for the same tar on the same parent, with a reference each', async () => {
      const store = await root.store()
      const one = await store.register(stream(base), undefined)
      const two = await store.register(stream(base), undefined)
      const three = await store.register(stream(base), undefined, { diffId: one.diffId })
      expect(two).not.toBe(one)
      expect([two.cacheId, three.cacheId]).toEqual([one.cacheId, one.cacheId])
      expect(await layerIds(store.driver)).toEqual([one.cacheId])
      expect(await one.release()).toEqual([])
      expect(await two.release()).toEqual([])
      expect(await three.release()).toHaveLength(1)
      expect(root.leftovers()).toEqual([])
    })

    it('reads and verifies a tar whose layer is there already, without extracting it', async () => {
      const store = await root.store()
      const known = await store.register(stream(base), undefined)
      let read = 0
      const counted = async function* (): AsyncGenerator<Uint8Array> {
        for await (const chunk of stream(base, 100)) {
          read += chunk.length
          yield chunk
        }
      }
      await using again = await store.register(counted(), undefined, { diffId: known.diffId })
      expect([read, again.cacheId]).toEqual([base.length, known.cacheId])
      await expect(
        store.register(stream(whiteout), undefined, { diffId: known.diffId }),
      ).rejects.toMatchObject({
        code: 'GD_DIGEST_MISMATCH',
        details: { expected: known.diffId, found: diffIdOf(whiteout) },
      })
      await again.release()
      expect(await known.release()).toHaveLength(1)
    })

    it('leaves nothing of a tar that is not what was promised', async () => {
      const store = await root.store()
      await expect(
        store.register(stream(whiteout), undefined, { diffId: diffIdOf(base) }),
      ).rejects.toMatchObject({ code: 'GD_DIGEST_MISMATCH' })
      expect(store.layers()).toEqual([])
      expect(await layerIds(store.driver)).toEqual([])
      expect(root.leftovers()).toEqual([])
    })

    it('hashes and keeps what comes after the end of the archive', async () => {
      const store = await root.store()
      const padded = Buffer.concat([base, Buffer.alloc(7 * 512), Buffer.from('trailing words')])
      await using layer = await store.register(stream(padded), undefined)
      expect(layer.diffId).toBe(diffIdOf(padded))
      expect(await bytesOf(layer.tar())).toEqual(padded)
    })

    it('reads on where a driver stopped at the end of the archive', async () => {
      const driver = await root.driver()
      const untilEnd = async function* (passed: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
        let length = 0
        for await (const chunk of passed) {
          yield chunk
          length += chunk.length
          if (length >= base.length) return
        }
      }
      const store = await root.store({
        driver: wrapped(driver, {
          applyDiff: (id, parent, passed) => driver.applyDiff(id, parent, untilEnd(passed)),
        }),
      })
      const padded = Buffer.concat([base, Buffer.alloc(50_000), Buffer.from('trailing words')])
      await using layer = await store.register(stream(padded, 512), undefined)
      expect(layer.diffId).toBe(diffIdOf(padded))
      expect(await bytesOf(layer.tar())).toEqual(padded)
    })

    it('gives the difference to any layer below, and to nothing', async () => {
      const store = await root.store()
      const l1 = await store.register(stream(base), undefined)
      const l2 = await store.register(stream(tar({ name: 'b', content: 'b' })), l1.chainId)
      const l3 = await store.register(stream(tar({ name: 'c', content: 'c' })), l2.chainId)
      await using whole = await store.register(l3.tarFrom(undefined), undefined)
      {
        await using mount = await whole.mount()
        expect(readdirSync(mount.path).sort()).toEqual(['b', 'c', 'etc'])
      }
      await using squashed = await store.register(l3.tarFrom(l1.chainId), l1.chainId)
      expect([squashed.depth, squashed.diffSize]).toEqual([2, 2])
      for (const other of [l3.chainId, whole.chainId, missing]) {
        await expect(bytesOf(l3.tarFrom(other))).rejects.toMatchObject({ code: 'GD_LAYER_NOT_FOUND' })
      }
    })

    it('describes a layer in the words of its driver', async () => {
      const store = await root.store()
      await using layer = await store.register(stream(base), undefined)
      expect(await layer.metadata()).toEqual(await store.driver.metadata(layer.cacheId))
    })

    it('refuses parents and layers that are not there', async () => {
      const store = await root.store()
      const absent = { code: 'GD_LAYER_NOT_FOUND', details: { id: missing } }
      await expect(store.register(stream(base), missing)).rejects.toMatchObject(absent)
      await expect(store.get(missing)).rejects.toMatchObject(absent)
      await expect(store.createRWLayer('x', missing)).rejects.toMatchObject(absent)
      await expect(store.getRWLayer('x')).rejects.toMatchObject({ code: 'GD_WRITABLE_LAYER_NOT_FOUND' })
      expect(store.has(missing)).toBe(false)
      expect(root.leftovers()).toEqual([])
    })

    it('refuses to use a layer through a reference that was released, or a store that was closed', async () => {
      const store = await root.store()
      const layer = await store.register(stream(base), undefined)
      const other = await store.get(layer.chainId)
      await layer.release()
      await expect(layer.mount()).rejects.toMatchObject({ code: 'GD_LAYER_NOT_RETAINED' })
      await expect(bytesOf(layer.tar())).rejects.toMatchObject({ code: 'GD_LAYER_NOT_RETAINED' })
      await store[Symbol.asyncDispose]()
      await expect(other.mount()).rejects.toMatchObject({ code: 'GD_CLOSED' })
      await expect(store.get(layer.chainId)).rejects.toMatchObject({ code: 'GD_CLOSED' })
      expect(await other.release()).toEqual([])
      expect((await root.store()).has(layer.chainId)).toBe(true)
    })

    it('changes nothing when it is open for reading only', async () => {
      const layer = await (await root.store()).register(stream(base), undefined)
      const store = await root.store({ readOnly: true })
      const held = await store.get(layer.chainId)
      expect(await bytesOf(held.tar())).toEqual(base)
      expect(await held.release()).toEqual([])
      const refused = { code: 'GD_READ_ONLY' }
      await expect(store.register(stream(base), undefined)).rejects.toMatchObject(refused)
      await expect(store.createRWLayer('x', undefined)).rejects.toMatchObject(refused)
      await expect(store.collect()).rejects.toMatchObject(refused)
      expect((await root.store()).has(layer.chainId)).toBe(true)
    })

    it('counts depth from the base and leaves room for a container', async () => {
      const driver = await root.driver()
      const shallow = wrapped(driver, { capabilities: { ...driver.capabilities, maxDepth: 4 } })
      const store = await root.store({ driver: shallow })
      const l1 = await store.register(stream(base), undefined)
      const l2 = await store.register(stream(nothing), l1.chainId)
      await expect(store.register(stream(nothing), l2.chainId)).rejects.toMatchObject({
        code: 'GD_MAX_DEPTH',
        details: { id: l2.chainId, depth: 3, limit: 2 },
      })
    })
  })
}

function raise(message: string): never {
  throw new Error(message)
}
