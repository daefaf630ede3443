import { type CallOptions, type Digest, type Layer, type LayerStore, traced } from '@graphdriver/core'
import type { ImageSource, SourceImage } from './image-source.ts'
import type { ImageStore } from './image-store.ts'
import type { Image } from './image.ts'
import { loadLayers } from './load-layers.ts'
import type { ProgressListener } from './load-progress.ts'
import type { ReferenceStore } from './reference-store.ts'
import { Rollback } from './rollback.ts'

/** Where images go. */
export interface LoadTarget {
  readonly layers: LayerStore
  readonly images: ImageStore
  readonly references: ReferenceStore
}

export interface LoadImagesOptions extends CallOptions {
  readonly onProgress?: ProgressListener | undefined
  /** How many bytes of a layer may come of one compressed byte; by default any number. @see `decompress` of the archive package */
  readonly maxExpansion?: number | undefined
  /** Which of the source's images; all by default. */
  readonly only?: ((image: SourceImage) => boolean) | undefined
}

export interface LoadedImage {
  readonly id: Digest
  readonly names: readonly string[]
  /** Layers it has. */
  readonly layers: number
  /** Of these, the ones that were not in the store before. */
  readonly loaded: number
  /** Bytes of all its layers. */
  readonly size: number
}

/**
 * Loads images with their layers and names: all of them, or on failure and abort none, and the store is as it was.
 * Layers that are there already are not read. A name that another image has moves to the new one.
 *
 * @throws GD_IMAGE_INVALID, GD_IMAGE_PLATFORM, GD_DIGEST_MISMATCH, GD_COMPRESSION_INVALID and what registering throws
 */
export async function loadImages(
  source: ImageSource,
  into: LoadTarget,
  options: LoadImagesOptions = {},
): Promise<readonly LoadedImage[]> {
  const operation = { operation: 'load', driver: into.layers.driver.name, subject: source.path } as const
  return await traced(operation, () => loadAll(source, into, options))
}

async function loadAll(
  source: ImageSource,
  into: LoadTarget,
  options: LoadImagesOptions,
): Promise<readonly LoadedImage[]> {
  const { only } = options
  options.signal?.throwIfAborted()
  const found = await source.images({ signal: options.signal })
  const images = only === undefined ? found : found.filter((image) => only(image))
  const rollback = new Rollback()
  const held: Layer[] = []
  const hold = (layer: Layer): void => {
    held.push(layer)
    rollback.add(() => layer.release())
  }
  try {
    // Names come last, and images after all layers: what can fail or take long is done before anything is visible.
    const loaded: number[] = []
    for (const image of images) {
      options.onProgress?.({ kind: 'image', id: image.id, names: image.names })
      loaded.push(await loadLayers(image, into.layers, { ...options, hold }))
    }
    options.signal?.throwIfAborted()
    const created: Image[] = []
    for (const image of images) created.push(await create(image, into.images, rollback))
    for (const image of images) {
      for (const name of image.names) await tag(name, image.id, into.references, rollback)
    }
    // From here on the images hold them.
    for (const layer of held.toReversed()) await layer.release()
    return images.map((image, at) => ({
      id: image.id,
      names: image.names,
      layers: image.layers.length,
      loaded: loaded[at] ?? 0,
      size: created[at]?.size ?? 0,
    }))
  } catch (error) {
    // What cannot be undone now is found at the next opening; the first failure is the one to tell.
    await rollback.run()
    throw error
  }
}

async function create(image: SourceImage, images: ImageStore, rollback: Rollback): Promise<Image> {
  const isNew = !images.list().some(({ id }) => id === image.id)
  const created = await images.create(image.configBytes)
  if (isNew) rollback.add(() => images.delete(image.id))
  return created
}

async function tag(name: string, id: Digest, references: ReferenceStore, rollback: Rollback): Promise<void> {
  const former = references.resolve(name)
  await references.tag(name, id)
  rollback.add(() => (former === undefined ? references.untag(name) : references.tag(name, former)))
}
