/** From every format into the stores, and back out of them after a restart. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { type ChainId, chainIdOf, digestOf, parseDiffId } from '@graphdriver/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadImages, type LoadProgress, openImageSource } from '../src/index.ts'
import { DataRoot } from './data-root.ts'
import { dockerArchive, dockerArchive25 } from './docker-archive-file.ts'
import { type LayerForm, layoutOf } from './layout-file.ts'
import { above, base, layer, sampleImage } from './sample-image.ts'

const image = sampleImage()

function chainOf(...layers: readonly Buffer[]): ChainId | undefined {
  return chainIdOf(layers.map((bytes) => parseDiffId(digestOf(bytes))))
}

describe.skipIf(process.platform !== 'linux')('loading', () => {
  let root: DataRoot

  beforeEach(() => {
    root = new DataRoot()
  })

  afterEach(async () => {
    await root[Symbol.asyncDispose]()
  })

  const archive = dockerArchive(image)
  const forms: readonly LayerForm[] = ['tar', 'tar+gzip', 'tar+zstd']
  const files: readonly (readonly [string, () => string])[] = [
    ['a docker archive', () => root.write('a.tar', archive)],
    ['a docker archive in gzip', () => root.write('a.tgz', gzipSync(archive))],
    ['a docker archive in zstd', () => root.write('a.tzst', zstdCompressSync(archive))],
    ['a docker archive of Docker 25', () => root.write('a.tar', dockerArchive25(image))],
    ['a gzip-compressed OCI layout tar', () => root.write('a.tgz', gzipSync(layoutOf(image).tar()))],
    ...forms.flatMap((form): [string, () => string][] => [
      [
        `an OCI directory with ${form}`,
        () => layoutOf(image, form).writeDirectory(path.join(root.scratch, 'oci')),
      ],
      [`an OCI tar with ${form}`, () => root.write('oci.tar', layoutOf(image, form).tar())],
    ]),
  ]

  it.each(files)('brings layers, image and name from %s', async (_, write) => {
    const { layers, images, references, driver } = await root.stores()
    await using source = await openImageSource(write())
    const loaded = await loadImages(source, { layers, images, references })
    const size = 3 + 3000
    expect(loaded).toEqual([{ id: image.id, names: ['sample:latest'], layers: 2, loaded: 2, size }])
    expect(layers.layers().map(({ chainId }) => chainId)).toEqual([chainOf(base), chainOf(base, above)])
    expect(references.resolve('sample')).toBe(image.id)
    const found = await images.find('sample', references)
    expect(found).toMatchObject({
      id: image.id,
      chainId: chainOf(base, above),
      size,
      created: '2024-01-01T00:00:00Z',
    })
    expect(found.config.config.Cmd).toEqual(['/bin/sh'])

    const [, top] = layers.layers()
    if (top === undefined) throw new Error('no layer')
    await using mount = await driver.get(top.cacheId)
    expect(readFileSync(path.join(mount.path, 'etc/motd'), 'utf8')).toBe('hi\n')
    expect(readFileSync(path.join(mount.path, 'app'), 'utf8')).toHaveLength(3000)
  })

  it('leaves a store that another process opens', async () => {
    const first = await root.stores()
    await using source = await openImageSource(root.write('a.tar', archive))
    await loadImages(source, first)
    const second = await root.stores()
    expect(second.images.list()).toEqual(first.images.list())
    expect(second.images.skipped).toEqual([])
    expect(second.references.list()).toEqual([{ name: 'sample:latest', id: image.id }])
  })

  it('shares layers between the images of one archive, also when they are symlinks', async () => {
    const other = sampleImage({
      layers: [base, layer({ name: 'other', content: 'o' })],
      names: ['other:1', 'other:2'],
    })
    const stores = await root.stores()
    await using source = await openImageSource(root.write('a.tar', dockerArchive(image, other)))
    const loaded = await loadImages(source, stores)
    expect(loaded.map((each) => [each.names, each.loaded])).toEqual([
      [['sample:latest'], 2],
      [['other:1', 'other:2'], 1],
    ])
    expect(stores.layers.layers()).toHaveLength(3)
    expect(stores.references.namesOf(other.id)).toEqual(['other:1', 'other:2'])
  })

  it('reads no layer that is there', async () => {
    const stores = await root.stores()
    await using source = await openImageSource(root.write('a.tar', archive))
    await loadImages(source, stores)
    const before = root.tree()
    const events: LoadProgress[] = []
    const again = await loadImages(source, stores, { onProgress: (event) => events.push(event) })
    expect(again[0]).toMatchObject({ layers: 2, loaded: 0 })
    expect(events.map((event) => (event.kind === 'layer' ? event.state : event.kind))).toEqual([
      'image',
      'exists',
      'exists',
    ])
    expect(root.tree()).toEqual(before)
  })

  it('tells its progress about once per mebibyte', async () => {
    const big = layer({ name: 'big', content: Buffer.alloc(5 * 1024 * 1024, 7) })
    const stores = await root.stores()
    await using source = await openImageSource(
      root.write('a.tar', dockerArchive(sampleImage({ layers: [base, big] }))),
    )
    const events: LoadProgress[] = []
    await loadImages(source, stores, { onProgress: (event) => events.push(event) })
    const ofBig = events.filter((event) => event.kind === 'layer' && event.index === 1)
    const states = ofBig.map((event) => (event.kind === 'layer' ? event.state : ''))
    expect(states[0]).toBe('start')
    expect(states.at(-1)).toBe('done')
    expect(states.filter((state) => state === 'bytes')).toHaveLength(5)
    expect(ofBig.at(-1)).toMatchObject({ count: 2, bytes: big.length, total: big.length })
  })

  it('moves a name to the newer image and keeps the older one', async () => {
    const newer = sampleImage({ layers: [base] })
    const stores = await root.stores()
    for (const each of [image, newer]) {
      await using source = await openImageSource(root.write('a.tar', dockerArchive(each)))
      await loadImages(source, stores)
    }
    expect(stores.references.resolve('sample')).toBe(newer.id)
    expect(stores.images.list().map(({ id }) => id)).toEqual([image.id, newer.id].toSorted())
  })

  it('loads only what is asked for', async () => {
    const other = sampleImage({ layers: [base], names: ['other'] })
    const stores = await root.stores()
    await using source = await openImageSource(root.write('a.tar', dockerArchive(image, other)))
    await loadImages(source, stores, { only: ({ names }) => names.includes('other:latest') })
    expect(stores.references.list().map(({ name }) => name)).toEqual(['other:latest'])
    expect(stores.layers.layers()).toHaveLength(1)
  })

  it('loads an image without layers and names', async () => {
    const empty = sampleImage({ layers: [], names: [] })
    const stores = await root.stores()
    await using source = await openImageSource(root.write('a.tar', dockerArchive(empty)))
    expect(await loadImages(source, stores)).toEqual([
      { id: empty.id, names: [], layers: 0, loaded: 0, size: 0 },
    ])
    expect((await stores.images.get(empty.id)).chainId).toBeUndefined()
  })

  it('deletes an image with the layers that nobody else has', async () => {
    const other = sampleImage({ layers: [base], names: ['other'] })
    const stores = await root.stores()
    await using source = await openImageSource(root.write('a.tar', dockerArchive(image, other)))
    await loadImages(source, stores)
    const removed = await stores.images.delete(image.id)
    expect(removed.map(({ diffId }) => diffId)).toEqual([digestOf(above)])
    expect(stores.images.list().map(({ id }) => id)).toEqual([other.id])
    await expect(stores.images.get(image.id)).rejects.toMatchObject({ code: 'GD_IMAGE_NOT_FOUND' })
    await expect(stores.images.delete(image.id)).rejects.toMatchObject({ code: 'GD_IMAGE_NOT_FOUND' })
  })
})
