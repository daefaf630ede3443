/** What a damaged store does when it is opened: it uses what is whole, and says what is not. */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { digestHex } from '@graphdriver/core'
import vfs from '@graphdriver/vfs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { DataRoot, layerIds } from './data-root.ts'
import { bytesOf, diffIdOf, stream, tar } from './tar-file.ts'

const base = tar({ name: 'etc/' }, { name: 'etc/motd', content: 'hi\n' })
const above = tar({ name: 'above', content: 'above' })
const beside = tar({ name: 'beside', content: 'beside' })

describe.skipIf(process.platform !== 'linux')('opening a store whose records are damaged', () => {
  let root: DataRoot

  beforeEach(() => {
    root = new DataRoot(vfs)
  })

  afterEach(async () => {
    await root[Symbol.asyncDispose]()
  })

  function record(bytes: Buffer): string {
    return path.join(root.layerdb, 'sha256', digestHex(diffIdOf(bytes)))
  }

  const damages: readonly (readonly [string, (directory: string) => void])[] = [
    ['has no diff', (directory) => rmSync(path.join(directory, 'diff'))],
    ['has an empty diff', (directory) => writeFileSync(path.join(directory, 'diff'), '')],
    ['has another diff', (directory) => writeFileSync(path.join(directory, 'diff'), diffIdOf(beside))],
    [
      'has a diff that is a directory',
      (directory) => {
        rmSync(path.join(directory, 'diff'))
        mkdirSync(path.join(directory, 'diff'))
      },
    ],
    ['has no size', (directory) => rmSync(path.join(directory, 'size'))],
    ['has a size that is no number', (directory) => writeFileSync(path.join(directory, 'size'), '12x')],
    ['has a negative size', (directory) => writeFileSync(path.join(directory, 'size'), '-5')],
    ['has no cache-id', (directory) => rmSync(path.join(directory, 'cache-id'))],
    ['has a cache-id that climbs', (directory) => writeFileSync(path.join(directory, 'cache-id'), '../../x')],
    ['has a parent that is no digest', (directory) => writeFileSync(path.join(directory, 'parent'), 'x')],
    [
      'is a file',
      (directory) => {
        rmSync(directory, { recursive: true })
        writeFileSync(directory, '')
      },
    ],
    [
      'is an empty directory',
      (directory) => {
        rmSync(directory, { recursive: true })
        mkdirSync(directory)
      },
    ],
  ]

  it.each(damages)(
    'skips a layer whose record %s, what stands on it, and nothing else',
    async (_, damage) => {
      const before = await root.store()
      const l1 = await before.register(stream(base), undefined)
      const l2 = await before.register(stream(above), l1.chainId)
      const l3 = await before.register(stream(beside), undefined)
      await before.createRWLayer('c', l2.chainId)
      damage(record(base))

      const store = await root.store()
      expect(store.layers().map((layer) => layer.chainId)).toEqual([l3.chainId])
      expect(store.writableLayers()).toEqual([])
      expect(store.skipped.map((skip) => skip.path).sort()).toEqual(
        [
          record(base),
          path.join(root.layerdb, 'sha256', digestHex(l2.chainId)),
          path.join(root.layerdb, 'mounts', 'c'),
        ].sort(),
      )
      for (const skip of store.skipped) expect(skip.reason).not.toBe('')
      await expect(store.get(l1.chainId)).rejects.toMatchObject({ code: 'GD_LAYER_NOT_FOUND' })

      // Registering the layer again heals everything above it.
      const again = await store.register(stream(base), undefined)
      expect(await bytesOf(again.tar())).toEqual(base)
      const healed = await root.store()
      expect(healed.skipped).toEqual([])
      expect(healed.layers()).toHaveLength(3)
      expect(healed.writableLayers()).toHaveLength(1)
    },
  )

  it('drops the data of a replaced record with the next collection', async () => {
    const before = await root.store()
    const old = await before.register(stream(base), undefined)
    rmSync(path.join(record(base), 'diff'))
    // Beside BuildKit a layer counts as left over only if something says so.
    mkdirSync(path.join(root.path, 'buildkit'))
    const store = await root.store()
    const layer = await store.register(stream(base), undefined)
    expect(await layerIds(store.driver)).toEqual([old.cacheId, layer.cacheId].sort())
    expect(await store.collect()).toEqual([old.cacheId])
    expect(await layerIds(store.driver)).toEqual([layer.cacheId])
    expect(root.leftovers()).toEqual([])
  })

  it('skips what is not named after a layer, and passes over removals', async () => {
    const before = await root.store()
    const layer = await before.register(stream(base), undefined)
    const shelf = path.join(root.layerdb, 'sha256')
    mkdirSync(path.join(shelf, 'lost+found'))
    renameSync(record(base), path.join(shelf, `${digestHex(layer.chainId)}-${'a'.repeat(64)}-removing`))
    const store = await root.store()
    expect(store.layers()).toEqual([])
    expect(store.skipped).toMatchObject([{ path: path.join(shelf, 'lost+found') }])
  })

  it('does not register where the records cannot be', async () => {
    const store = await root.store()
    writeFileSync(path.join(root.layerdb, 'sha256'), '')
    await expect(store.register(stream(base), undefined)).rejects.toMatchObject({
      code: expect.stringMatching(/^(ENOTDIR|EEXIST)$/),
    })
    expect(await layerIds(store.driver)).toEqual([])
    expect(root.leftovers()).toEqual([])
  })

  it('does not begin where transactions cannot be', async () => {
    const store = await root.store()
    writeFileSync(path.join(root.layerdb, 'tmp'), '')
    await expect(store.register(stream(base), undefined)).rejects.toMatchObject({
      code: expect.stringMatching(/^(ENOTDIR|EEXIST)$/),
    })
    expect(await layerIds(store.driver)).toEqual([])
    rmSync(path.join(root.layerdb, 'tmp'))
    await store.register(stream(base), undefined)
  })
})
