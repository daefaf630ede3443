/** Writable layers, as containers have them, on real drivers. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { dockerInitLayer } from '../src/index.ts'
import { candidates, DataRoot, layerIds } from './data-root.ts'
import { stream, tar } from './tar-file.ts'
import { wrapped } from './wrapped-driver.ts'

const files = tar(
  { name: 'testfile1.txt', content: 'testdata' },
  { name: 'testfile2.txt', content: 'testdata' },
  { name: 'testfile3.txt', content: 'testdata' },
)

for (const { name, definition, skipped, reason } of await candidates()) {
  describe.skipIf(skipped)(`writable layers on ${name}${reason}`, () => {
    let root: DataRoot

    beforeEach(() => {
      root = new DataRoot(definition)
    })

    afterEach(async () => {
      await root[Symbol.asyncDispose]()
    })

    it('have the record that Docker writes', async () => {
      const store = await root.store()
      const image = await store.register(stream(files), undefined)
      const rw = await store.createRWLayer('c1', image.chainId, { init: dockerInitLayer })
      const scratch = await store.createRWLayer('c2', undefined)
      const read = (...file: string[]): string =>
        readFileSync(path.join(root.layerdb, 'mounts', ...file), 'utf8')
      expect([read('c1', 'mount-id'), read('c1', 'init-id'), read('c1', 'parent')]).toEqual([
        rw.mountId,
        `${rw.mountId}-init`,
        image.chainId,
      ])
      expect(rw.initId).toBe(`${rw.mountId}-init`)
      expect(rw.mountId).toMatch(/^[0-9a-f]{64}$/)
      expect(readdirSync(path.join(root.layerdb, 'mounts', 'c2'))).toEqual(['mount-id'])
      expect(scratch).toMatchObject({ name: 'c2', parent: undefined, initId: undefined })
      expect(root.leftovers()).toEqual([])
    })

    it('show what the init hook wrote', async () => {
      const store = await root.store()
      const image = await store.register(
        stream(tar({ name: 'testfile.txt', content: 'base data!' })),
        undefined,
      )
      const rw = await store.createRWLayer('c', image.chainId, {
        init: async (directory) => {
          const file = path.join(directory, 'testfile.txt')
          writeFileSync(file, 'init data!')
          chmodSync(file, 0o777)
        },
      })
      await using mount = await rw.mount()
      const file = path.join(mount.path, 'testfile.txt')
      expect(readFileSync(file, 'utf8')).toBe('init data!')
      expect(statSync(file).mode & 0o777).toBe(0o777)
    })

    it('count in their size what was written in them, and not what the init hook wrote', async () => {
      const store = await root.store()
      const image = await store.register(stream(tar({ name: 'file1', content: 'Base contents' })), undefined)
      const rw = await store.createRWLayer('c', image.chainId, {
        init: async (directory) => writeFileSync(path.join(directory, 'file-init'), 'init contents'),
      })
      const content = Buffer.from('Mounting contents')
      {
        await using mount = await rw.mount()
        writeFileSync(path.join(mount.path, 'file2'), content)
      }
      expect(await rw.size()).toBe(content.length)
      expect(image.diffSize).toBe(13)
      expect(image.size).toBe(13)
    })

    it('list what changed since the init hook', async () => {
      const store = await root.store()
      const image = await store.register(stream(files), undefined)
      const rw = await store.createRWLayer('c', image.chainId, {
        init: async (directory) => writeFileSync(path.join(directory, 'testfile1.txt'), 'init data!'),
      })
      {
        await using mount = await rw.mount()
        const file = (number: number): string => path.join(mount.path, `testfile${number}.txt`)
        chmodSync(file(1), 0o755)
        writeFileSync(file(1), 'mount data!')
        rmSync(file(2))
        chmodSync(file(3), 0o755)
        writeFileSync(file(4), 'mount data!')
      }
      expect(await rw.changes()).toEqual([
        { path: '/testfile1.txt', kind: 'modify' },
        { path: '/testfile2.txt', kind: 'delete' },
        { path: '/testfile3.txt', kind: 'modify' },
        { path: '/testfile4.txt', kind: 'add' },
      ])
      await using committed = await rw.commit()
      expect(committed.parent).toBe(image.chainId)
      await using mount = await committed.mount()
      expect(readFileSync(path.join(mount.path, 'testfile1.txt'), 'utf8')).toBe('mount data!')
      expect(existsSync(path.join(mount.path, 'testfile2.txt'))).toBe(false)
    })

    it('take in the tar of another layer', async () => {
      const store = await root.store()
      const one = await store.register(stream(files), undefined)
      const two = await store.register(stream(tar({ name: 'newfile.txt', content: 'new data' })), undefined)
      const rw = await store.createRWLayer('c', one.chainId)
      expect(await rw.applyDiff(two.tar())).toBe(8)
      await using mount = await rw.mount()
      expect(readFileSync(path.join(mount.path, 'newfile.txt'), 'utf8')).toBe('new data')
    })

    it('are deleted with their layers below that nobody else needs', async () => {
      const store = await root.store()
      const image = await store.register(stream(files), undefined)
      const rw = await store.createRWLayer('c', image.chainId, { init: dockerInitLayer })
      const other = await store.getRWLayer('c')
      await image.release()
      expect(store.layers()).toHaveLength(1)
      expect((await rw.release()).map((layer) => layer.chainId)).toEqual([image.chainId])
      expect(await other.release()).toEqual([])
      await expect(other.mount()).rejects.toMatchObject({ code: 'GD_WRITABLE_LAYER_NOT_FOUND' })
      expect(await layerIds(store.driver)).toEqual([])
      expect([store.writableLayers(), readdirSync(path.join(root.layerdb, 'mounts'))]).toEqual([[], []])
      expect(root.leftovers()).toEqual([])
    })

    it('leave nothing when the init hook fails', async () => {
      const store = await root.store()
      const image = await store.register(stream(files), undefined)
      const failure = new Error('no room')
      await expect(
        store.createRWLayer('c', image.chainId, { init: () => Promise.reject(failure) }),
      ).rejects.toBe(failure)
      expect(await layerIds(store.driver)).toEqual([image.cacheId])
      expect(store.writableLayers()).toEqual([])
      expect(root.leftovers()).toEqual([])
      await store.createRWLayer('c', image.chainId)
    })

    it('leave nothing when the last step of the driver fails', async () => {
      const driver = await root.driver()
      const failure = new Error('device full')
      const failing = wrapped(driver, {
        createReadWrite: async (id, options) => {
          await driver.createReadWrite(id, options)
          if (!id.endsWith('-init')) throw failure
        },
      })
      const store = await root.store({ driver: failing })
      await expect(store.createRWLayer('c', undefined, { init: dockerInitLayer })).rejects.toBe(failure)
      expect(await layerIds(driver)).toEqual([])
      expect(root.leftovers()).toEqual([])
    })

    it('can be released again when the driver failed', async () => {
      const driver = await root.driver()
      let failures = 3
      const failing = wrapped(driver, {
        remove: async (id, options) => {
          if (failures-- > 0) throw new Error(`busy ${failures}`)
          await driver.remove(id, options)
        },
      })
      const store = await root.store({ driver: failing })
      failures = 0
      const image = await store.register(stream(files), undefined)
      const rw = await store.createRWLayer('c', image.chainId, { init: dockerInitLayer })
      await image.release()
      failures = 2
      await expect(rw.release()).rejects.toThrow('busy 1')
      expect(store.writableLayers()).toHaveLength(1)
      await expect(rw.release()).rejects.toThrow('busy 0')
      expect(await rw.release()).toHaveLength(1)
      expect(await layerIds(driver)).toEqual([])
      expect(root.leftovers()).toEqual([])
    })

    it('have names that cannot leave the store', async () => {
      const store = await root.store()
      for (const bad of ['', '.', '..', '../x', 'a/b', '/etc', 'a\u0000b', '-x', 'x'.repeat(256)]) {
        await expect(store.createRWLayer(bad, undefined)).rejects.toMatchObject({ code: 'GD_INVALID_ID' })
        await expect(store.getRWLayer(bad)).rejects.toMatchObject({ code: 'GD_INVALID_ID' })
      }
      expect(await layerIds(store.driver)).toEqual([])
    })

    it('can be made again under a name of which a crash left an empty record', async () => {
      mkdirSync(path.join(root.layerdb, 'mounts', 'c'), { recursive: true })
      writeFileSync(path.join(root.layerdb, 'mounts', 'c', 'mount-id'), '')
      const store = await root.store()
      expect(store.skipped).toMatchObject([{ path: path.join(root.layerdb, 'mounts', 'c') }])
      await store.createRWLayer('c', undefined)
      expect((await root.store()).skipped).toEqual([])
      expect(root.leftovers()).toEqual([])
    })

    it('are not replaced when their record is damaged but still names what was written', async () => {
      const before = await root.store()
      const image = await before.register(stream(files), undefined)
      const rw = await before.createRWLayer('c', image.chainId)
      writeFileSync(path.join(root.layerdb, 'mounts', 'c', 'parent'), 'garbage')
      const store = await root.store()
      expect(store.skipped).toHaveLength(1)
      await expect(store.createRWLayer('c', undefined)).rejects.toMatchObject({ code: 'GD_NAME_CONFLICT' })
      expect(await store.orphans()).toEqual([])
      expect(await store.driver.exists(rw.mountId)).toBe(true)
    })
  })
}
