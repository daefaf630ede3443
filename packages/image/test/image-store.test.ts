import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type Digest, digestHex, digestOf } from '@graphdriver/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadImages, openImageSource } from '../src/index.ts'
import { DataRoot, type Stores } from './data-root.ts'
import { dockerArchive } from './docker-archive-file.ts'
import { above, base, sampleImage } from './sample-image.ts'

const image = sampleImage()
const other = sampleImage({ layers: [base], names: ['other'] })

describe.skipIf(process.platform !== 'linux')('an image store', () => {
  let root: DataRoot
  let stores: Stores

  beforeEach(async () => {
    root = new DataRoot()
    stores = await root.stores()
    await using source = await openImageSource(root.write('a.tar', dockerArchive(image, other)))
    await loadImages(source, stores)
  })

  afterEach(async () => {
    await root[Symbol.asyncDispose]()
  })

  const fileOf = (id: Digest): string =>
    path.join(root.imageDirectory, 'imagedb/content/sha256', digestHex(id))

  it("keeps configs byte for byte in Docker's place, for the owner alone", () => {
    expect(readFileSync(fileOf(image.id))).toEqual(image.configBytes)
    expect(statSync(fileOf(image.id)).mode & 0o777).toBe(0o600)
    expect(statSync(path.dirname(fileOf(image.id))).mode & 0o777).toBe(0o700)
    expect(readdirSync(path.dirname(fileOf(image.id))).toSorted()).toEqual(
      [image, other].map(({ id }) => digestHex(id)).toSorted(),
    )
  })

  it('verifies what it reads', async () => {
    writeFileSync(fileOf(image.id), '{}')
    await expect(stores.images.get(image.id)).rejects.toMatchObject({ code: 'GD_DIGEST_MISMATCH' })
    const { images } = await root.stores()
    expect(images.list().map(({ id }) => id)).toEqual([other.id])
    expect(images.skipped).toEqual([
      { path: fileOf(image.id), reason: expect.stringMatching(/has the digest/) },
    ])
  })

  it('repairs a damaged config when the image is loaded again', async () => {
    writeFileSync(fileOf(image.id), '{}')
    const again = await root.stores()
    await using source = await openImageSource(path.join(root.scratch, 'a.tar'))
    await loadImages(source, again)
    expect(readFileSync(fileOf(image.id))).toEqual(image.configBytes)
    expect((await again.images.get(image.id)).id).toBe(image.id)
  })

  it('skips what is no image, whose layers are missing, or what has no digest for a name', async () => {
    const lonely = sampleImage({ layers: [above] })
    const words = Buffer.from('words')
    const rootless = Buffer.from('{}')
    for (const bytes of [lonely.configBytes, words, rootless]) writeFileSync(fileOf(digestOf(bytes)), bytes)
    mkdirSync(fileOf(digestOf('directory')))
    writeFileSync(path.join(path.dirname(fileOf(image.id)), '.tmp-left'), '')
    const { images } = await root.stores()
    expect(images.list()).toHaveLength(2)
    const skipped = [lonely.configBytes, words, rootless, 'directory'].map((bytes) => fileOf(digestOf(bytes)))
    expect(images.skipped.map(({ path: file }) => file).toSorted()).toEqual(skipped.toSorted())
  })

  it('holds its layers against everyone else', async () => {
    const { images, layers } = await root.stores()
    for (const { chainId } of layers.layers()) await (await layers.get(chainId)).release()
    expect(layers.layers()).toHaveLength(2)
    await images.delete(image.id)
    expect(layers.layers()).toHaveLength(1)
  })

  it('keeps images and layers when it is closed', async () => {
    await stores.images[Symbol.asyncDispose]()
    await expect(stores.images.get(image.id)).rejects.toMatchObject({ code: 'GD_CLOSED' })
    await expect(stores.images.create(image.configBytes)).rejects.toMatchObject({ code: 'GD_CLOSED' })
    const { images, layers } = await root.stores()
    expect(images.list()).toHaveLength(2)
    expect(layers.layers()).toHaveLength(2)
  })

  it('writes and holds an image once that is created twice', async () => {
    const before = statSync(fileOf(image.id)).ino
    await stores.images.create(image.configBytes)
    await stores.images.create(image.configBytes)
    expect(statSync(fileOf(image.id)).ino).toBe(before)
    expect(await stores.images.delete(image.id)).toHaveLength(1)
  })

  it('refuses an image whose layers are not there', async () => {
    const lonely = sampleImage({ layers: [above] })
    await expect(stores.images.create(lonely.configBytes)).rejects.toMatchObject({
      code: 'GD_LAYER_NOT_FOUND',
    })
    expect(stores.images.list()).toHaveLength(2)
  })

  it('deletes what is known of an image, and that others came from it', async () => {
    const metadata = path.join(root.imageDirectory, 'imagedb/metadata/sha256')
    const parentOf = (id: Digest): string => path.join(metadata, digestHex(id), 'parent')
    for (const [child, parent] of [
      [image.id, other.id],
      [other.id, image.id],
    ] as const) {
      mkdirSync(path.dirname(parentOf(child)), { recursive: true })
      writeFileSync(parentOf(child), parent)
    }
    await stores.images.delete(other.id)
    expect(readdirSync(metadata)).toEqual([digestHex(image.id)])
    expect(readdirSync(path.dirname(parentOf(image.id)))).toEqual([])
  })

  it('finds images by id, name and first digits, in this order', async () => {
    const { images, references } = stores
    const hex = digestHex(image.id)
    for (const word of [
      image.id,
      hex,
      'sample',
      'sample:latest',
      hex.slice(0, 12),
      `sha256:${hex.slice(0, 12)}`,
    ]) {
      expect((await images.find(word, references)).id).toBe(image.id)
    }
    await references.tag(hex.slice(0, 12), other.id)
    expect((await images.find(hex.slice(0, 12), references)).id).toBe(other.id)
    await expect(images.find('nothing', references)).rejects.toMatchObject({ code: 'GD_IMAGE_NOT_FOUND' })
    await expect(images.find('', references)).rejects.toMatchObject({ code: 'GD_IMAGE_NOT_FOUND' })
  })

  it('does not guess between two images', async () => {
    const { images } = stores
    const made = new Map<string, Digest>()
    for (let at = 0; ; at++) {
      const { configBytes, id } = sampleImage({ layers: [base], config: { author: String(at) } })
      await images.create(configBytes)
      const twin = made.get(digestHex(id).slice(0, 1))
      made.set(digestHex(id).slice(0, 1), id)
      if (twin === undefined) continue
      await expect(images.find(digestHex(id).slice(0, 1))).rejects.toMatchObject({
        code: 'GD_IMAGE_AMBIGUOUS',
      })
      return
    }
  })

  it('goes without an image whose file another process took', async () => {
    rmSync(fileOf(image.id))
    await expect(stores.images.get(image.id)).rejects.toMatchObject({ code: 'GD_IMAGE_NOT_FOUND' })
  })
})
