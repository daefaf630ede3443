import { rm } from 'node:fs/promises'
import {
  type CallOptions,
  chainIdOf,
  type Digest,
  digestOf,
  GraphDriverError,
  isGraphDriverError,
  type Layer,
  type LayerRecord,
  type LayerStore,
} from '@graphdriver/core'
import { isOfTheMoment, isSystemError } from '@graphdriver/sys'
import { parseImageConfig } from './image-config.ts'
import { findImage } from './image-search.ts'
import type { Image } from './image.ts'
import { Imagedb } from './imagedb.ts'
import { invalidImage } from './invalid-image.ts'
import { Mutex } from './mutex.ts'
import type { ReferenceStore } from './reference-store.ts'

export interface ImageStoreOptions extends CallOptions {
  /** The data root; configs go to `<root>/image/<driver>/imagedb`. */
  readonly root: string
  readonly driver: string
  readonly layers: LayerStore
  /** Whether nothing is to wait for the disk, so that a power cut may take what was done last. */
  readonly volatile?: boolean | undefined
}

/** What could not be used when the store was opened. */
export interface SkippedImage {
  readonly path: string
  readonly reason: string
}

/**
 * Image configs on disk, each holding its layers in the layer store for as long as it is there.
 *
 * Disposing closes it and deletes nothing: layers stay held until their store is closed too.
 */
export interface ImageStore extends AsyncDisposable {
  /** Files and configs that are no images, or whose layers are missing. */
  readonly skipped: readonly SkippedImage[]

  /**
   * Adds an image whose layers are in the layer store. One that is there already is returned as it is.
   *
   * @throws GD_IMAGE_INVALID, GD_LAYER_NOT_FOUND
   */
  create(configBytes: Uint8Array): Promise<Image>

  /** Reads the config again, and verifies it. @throws GD_IMAGE_NOT_FOUND, GD_DIGEST_MISMATCH */
  get(id: Digest): Promise<Image>

  /** The config as it came, verified. @throws as `get` */
  configBytes(id: Digest): Promise<Uint8Array>

  /**
   * What a person means by a word: an id, a name in `references`, or the first digits of an id, in this order.
   *
   * @throws GD_IMAGE_NOT_FOUND, GD_IMAGE_AMBIGUOUS
   */
  find(word: string, references?: ReferenceStore): Promise<Image>

  /** Those of when it was opened, and since then its own. Sorted by id. */
  list(): readonly Image[]

  /**
   * Deletes an image, and with it the layers that nobody else needs; these are listed, topmost first. Its names are
   * not touched: `ReferenceStore.untag` them before.
   *
   * @throws GD_IMAGE_NOT_FOUND
   */
  delete(id: Digest): Promise<readonly LayerRecord[]>

  /** Files that killed processes left unfinished. Only while no other process writes to the store. */
  leftovers(): Promise<readonly string[]>
  /** Deletes them. @returns what they were */
  collect(): Promise<readonly string[]>
}

/** Opens Docker's imagedb under a data root. Writes nothing until there is an image to write. */
export async function openImageStore(options: ImageStoreOptions): Promise<ImageStore> {
  const store = new DirectoryImageStore(options)
  await store.restore(options)
  return store
}

interface HeldImage {
  readonly image: Image
  /** The reference that keeps its layers. */
  readonly layer: Layer | undefined
}

class DirectoryImageStore implements ImageStore {
  readonly skipped: SkippedImage[] = []
  readonly #imagedb: Imagedb
  readonly #layers: LayerStore
  readonly #images: Map<Digest, HeldImage> = new Map()
  /** Deleted, but for layers whose release failed: deleting again goes on there. */
  readonly #leaving: Map<Digest, HeldImage> = new Map()
  readonly #writing: Mutex = new Mutex()
  #closed = false

  constructor(options: ImageStoreOptions) {
    this.#imagedb = new Imagedb(options.root, options.driver, options.volatile !== true)
    this.#layers = options.layers
  }

  async restore(options: CallOptions): Promise<void> {
    for (const id of await this.#imagedb.ids(options)) {
      options.signal?.throwIfAborted()
      try {
        await this.#hold(id, await this.#imagedb.read(id))
      } catch (error) {
        if (!isGraphDriverError(error) && !isSystemError(error)) throw error
        if (isOfTheMoment(error)) throw error
        this.skipped.push({ path: this.#imagedb.fileOf(id), reason: error.message })
      }
    }
  }

  create(configBytes: Uint8Array): Promise<Image> {
    const id = digestOf(configBytes)
    return this.#exclusively(async () => {
      const known = this.#images.get(id)
      const held = known ?? (await this.#hold(id, configBytes))
      try {
        if (!(await this.#isWhole(id))) await this.#imagedb.write(id, configBytes)
        return held.image
      } catch (error) {
        if (known === undefined) await this.#drop(id, held)
        throw error
      }
    })
  }

  async get(id: Digest): Promise<Image> {
    await this.configBytes(id)
    const held = this.#images.get(id)
    if (held === undefined) throw notFound(id)
    return held.image
  }

  async configBytes(id: Digest): Promise<Uint8Array> {
    this.#requireOpen()
    if (!this.#images.has(id)) throw notFound(id)
    try {
      return await this.#imagedb.read(id)
    } catch (error) {
      if (isSystemError(error, 'ENOENT')) throw notFound(id)
      throw error
    }
  }

  async find(word: string, references?: ReferenceStore): Promise<Image> {
    const id = findImage(word, Array.from(this.#images.keys()), references)
    if (id === undefined) throw notFound(word)
    return this.get(id)
  }

  list(): readonly Image[] {
    const images = Array.from(this.#images.values(), ({ image }) => image)
    return images.toSorted((a, b) => (a.id < b.id ? -1 : 1))
  }

  delete(id: Digest): Promise<readonly LayerRecord[]> {
    return this.#exclusively(async () => {
      const held = this.#images.get(id) ?? this.#leaving.get(id)
      if (held === undefined) throw notFound(id)
      await this.#imagedb.delete(id)
      this.#images.delete(id)
      this.#leaving.set(id, held)
      const removed = (await held.layer?.release()) ?? []
      this.#leaving.delete(id)
      return removed
    })
  }

  leftovers(): Promise<readonly string[]> {
    return this.#imagedb.unfinished()
  }

  collect(): Promise<readonly string[]> {
    return this.#exclusively(async () => {
      const left = await this.#imagedb.unfinished()
      for (const file of left) await rm(file, { force: true })
      return left
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    // Not releasing: a layer that is released by its last holder is deleted.
    await this.#writing.run(async () => undefined)
  }

  async #hold(id: Digest, bytes: Uint8Array): Promise<HeldImage> {
    const config = parseImageConfig(bytes, (reason, cause) =>
      invalidImage(id, `is not usable: ${reason}`, cause),
    )
    const chainId = chainIdOf(config.rootfs.diff_ids)
    const layer = chainId === undefined ? undefined : await this.#layers.get(chainId)
    const held = { image: { id, config, chainId, created: config.created, size: layer?.size ?? 0 }, layer }
    this.#images.set(id, held)
    return held
  }

  async #drop(id: Digest, held: HeldImage): Promise<void> {
    this.#images.delete(id)
    await held.layer?.release()
  }

  /** False when the file was lost or damaged since; writing it again repairs the store. */
  async #isWhole(id: Digest): Promise<boolean> {
    try {
      await this.#imagedb.read(id)
      return true
    } catch (error) {
      if (isGraphDriverError(error) || isSystemError(error, 'ENOENT')) return false
      throw error
    }
  }

  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    return this.#writing.run(async () => {
      this.#requireOpen()
      return work()
    })
  }

  #requireOpen(): void {
    if (this.#closed)
      throw new GraphDriverError('GD_CLOSED', 'image store is closed', { object: 'image store' })
  }
}

function notFound(reference: string): GraphDriverError<'GD_IMAGE_NOT_FOUND'> {
  return new GraphDriverError('GD_IMAGE_NOT_FOUND', `image '${reference}' is not here; load it first`, {
    reference,
  })
}
