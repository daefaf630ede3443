import path from 'node:path'
import {
  hasRedirect,
  naiveDiff,
  type OverlayWhiteouts,
  type TreeWorkers,
  upperChanges,
} from '@graphdriver/archive'
import {
  type CallOptions,
  type Capabilities,
  type Change,
  type CreateOptions,
  type DiffDriver,
  type Driver,
  type GetOptions,
  isGraphDriverError,
  type LayerId,
  layerMount,
  type Mount,
  MountReferences,
  type StatusRow,
  type TarStream,
} from '@graphdriver/core'
import { isSystemError, type Scratch } from '@graphdriver/sys'
import { isStackMounted, type OverlayHost } from '@graphdriver/sys/overlayfs'
import { capabilitiesOf } from './capabilities.ts'
import { discardLayer, hideLayer, makeLayer, reapLayers } from './construction.ts'
import { describeHost, describeLayer } from './description.ts'
import { layerPaths, type LayerRecord, readLayer } from './layout.ts'
import { layerIds } from './links.ts'
import { isCommitted, mountLayer, unmountLayer } from './mounting.ts'
import { checkStorageOptions } from './options.ts'

export class Overlay2Driver implements Driver {
  readonly name = 'overlay2'
  readonly home: string
  readonly capabilities: Capabilities
  readonly #host: OverlayHost
  readonly #workers: TreeWorkers
  readonly #references = new MountReferences(isStackMounted)
  readonly #naive: DiffDriver
  readonly #whiteouts: OverlayWhiteouts
  /** A layer was hidden and not wholly deleted; the next `remove` does it. */
  #leftovers = false

  /**
   * @param home exists, with `l/` in it
   * @param workers the driver's own; `cleanup` ends them
   */
  constructor(home: string, host: OverlayHost, workers: TreeWorkers) {
    this.home = home
    this.capabilities = capabilitiesOf(host)
    this.#host = host
    this.#workers = workers
    this.#naive = naiveDiff(this, workers)
    this.#whiteouts = { format: 'overlay', xattr: host.xattr }
  }

  async create(id: LayerId, options: CreateOptions = {}): Promise<void> {
    checkStorageOptions(id, options.storageOptions)
    const { parent, signal } = options
    const { home, capabilities } = this
    await makeLayer({ home, id, parent, maxDepth: capabilities.maxDepth, signal }, this.#workers)
  }

  /** An image layer and a container's are the same on disk. */
  createReadWrite(id: LayerId, options?: CreateOptions): Promise<void> {
    return this.create(id, options)
  }

  async remove(id: LayerId, options?: CallOptions): Promise<void> {
    options?.signal?.throwIfAborted()
    await this.#reapLeftovers()
    const hidden: Scratch[] = []
    await this.#references.forget(layerPaths(this.home, id).merged, () => {
      hidden.push(...hideLayer(this.home, id))
    })
    try {
      for (const scratch of hidden) await discardLayer(this.home, scratch, this.#workers, options)
    } catch (error) {
      this.#leftovers = true
      throw error
    }
  }

  async get(id: LayerId, options: GetOptions = {}): Promise<Mount> {
    options.signal?.throwIfAborted()
    const record = await readLayer(this.home, id)
    const paths = layerPaths(this.home, id)
    if (record.lower.length === 0) return layerMount(id, paths.diff, isCommitted(paths))
    await this.#acquire(id, record, options)
    return layerMount(id, paths.merged, isCommitted(paths), (mounted) => this.put(mounted))
  }

  async put(id: LayerId): Promise<void> {
    try {
      const { lower } = await readLayer(this.home, id)
      if (lower.length === 0) return
    } catch (error) {
      if (isGraphDriverError(error, 'GD_LAYER_NOT_FOUND')) return
      throw error
    }
    const paths = layerPaths(this.home, id)
    await this.#references.release(paths.merged, () => unmountLayer(paths))
  }

  async exists(id: LayerId): Promise<boolean> {
    try {
      await readLayer(this.home, id)
      return true
    } catch (error) {
      if (isGraphDriverError(error, 'GD_LAYER_NOT_FOUND')) return false
      throw error
    }
  }

  layers(options: CallOptions = {}): AsyncIterable<LayerId> {
    return layerIds(this.home, options.signal)
  }

  async status(): Promise<readonly StatusRow[]> {
    return describeHost(this.#host)
  }

  metadata(id: LayerId): Promise<Readonly<Record<string, string>>> {
    return describeLayer(this.home, id)
  }

  async *diff(id: LayerId, parent: LayerId | undefined, options: CallOptions = {}): TarStream {
    if (await this.#isUpper(id, parent, options)) {
      const { diff } = layerPaths(this.home, id)
      yield* this.#workers.pack(diff, { ...options, whiteouts: this.#whiteouts })
    } else yield* this.#naive.diff(id, parent, options)
  }

  async changes(
    id: LayerId,
    parent: LayerId | undefined,
    options: CallOptions = {},
  ): Promise<readonly Change[]> {
    if (parent === undefined || !(await this.#isUpper(id, parent, options)))
      return this.#naive.changes(id, parent, options)
    await using base = await this.get(parent, options)
    const { diff } = layerPaths(this.home, id)
    try {
      const mounted = base.path === layerPaths(this.home, parent).merged
      const whiteouts = this.#whiteouts
      return await upperChanges({ upper: diff, base: base.path, mounted, whiteouts, signal: options.signal })
    } catch (error) {
      // Deeper than a path can say, or changing too fast for look-ups by path.
      if (isSystemError(error, 'ENAMETOOLONG', 'ENOENT')) return this.#naive.changes(id, parent, options)
      throw error
    }
  }

  async applyDiff(
    id: LayerId,
    parent: LayerId | undefined,
    tar: TarStream,
    options: CallOptions = {},
  ): Promise<number> {
    if (!(await this.#isUpper(id, parent, options))) return this.#naive.applyDiff(id, parent, tar, options)
    const { lower } = await readLayer(this.home, id)
    const lowers = lower.map((link) => path.join(this.home, link))
    // Nothing is below a base layer, and it is shown unmounted: a device left as a whiteout would be seen.
    const whiteouts = parent === undefined ? 'remove' : this.#whiteouts
    const { diff } = layerPaths(this.home, id)
    const result = await this.#workers.apply(diff, tar, { ...options, whiteouts, lowers })
    return result.contentBytes
  }

  async diffSize(id: LayerId, parent: LayerId | undefined, options: CallOptions = {}): Promise<number> {
    if (!(await this.#isUpper(id, parent, options))) return this.#naive.diffSize(id, parent, options)
    return this.#workers.size(layerPaths(this.home, id).diff, options)
  }

  /** The upper directory as it is: every file that the layer's own tar has is in it. */
  async ownFiles(id: LayerId): Promise<Mount> {
    await readLayer(this.home, id)
    return layerMount(id, layerPaths(this.home, id).diff, true)
  }

  /** Layers that are mounted stay mounted: they belong to whoever got them, in this process or another. */
  async cleanup(): Promise<void> {
    await this.#workers[Symbol.asyncDispose]()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.cleanup()
  }

  async #reapLeftovers(): Promise<void> {
    if (!this.#leftovers) return
    this.#leftovers = !(await reapLayers(this.home, this.#workers))
  }

  async #acquire(id: LayerId, record: LayerRecord, { mountLabel }: GetOptions): Promise<void> {
    const { merged } = layerPaths(this.home, id)
    const label = this.capabilities.mountLabel ? mountLabel : undefined
    let joined = false
    await this.#references.acquire(merged, async () => {
      joined = !(await this.#mount(id, record, label))
    })
    // Another process mounted it at the same moment. It counts as a user, so that this one does not unmount it.
    if (joined) await this.#references.acquire(merged, () => undefined)
  }

  /** @returns whether this call mounted it */
  async #mount(id: LayerId, record: LayerRecord, label: string | undefined): Promise<boolean> {
    try {
      return await mountLayer(this.home, id, record, this.#host, label)
    } catch (error) {
      // Removed since its record was read, it is a layer that is not found.
      if (isSystemError(error, 'ENOENT')) await readLayer(this.home, id)
      throw error
    }
  }

  /** Whether the layer's upper directory is exactly what `parent` lacks, and can be read as that. */
  async #isUpper(id: LayerId, parent: LayerId | undefined, { signal }: CallOptions): Promise<boolean> {
    signal?.throwIfAborted()
    const { lower } = await readLayer(this.home, id)
    if (!(await this.#isParent(parent, lower[0])) || !this.#host.nativeDiff.native) return false
    return !this.#host.mayRedirect || !(await hasRedirect(layerPaths(this.home, id).diff, signal))
  }

  async #isParent(parent: LayerId | undefined, nearest: string | undefined): Promise<boolean> {
    if (parent === undefined) return nearest === undefined
    const { link } = await readLayer(this.home, parent)
    return nearest === `l/${link}`
  }
}
