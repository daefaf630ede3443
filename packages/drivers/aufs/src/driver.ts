import { opendir } from 'node:fs/promises'
import { naiveDiff, type TreeWorkers, upperChanges } from '@graphdriver/archive'
import {
  asLayerId,
  type CallOptions,
  type Capabilities,
  type Change,
  type CreateOptions,
  type DiffDriver,
  type Driver,
  type GetOptions,
  type LayerId,
  layerMount,
  type Mount,
  MountReferences,
  type StatusRow,
  type TarStream,
} from '@graphdriver/core'
import { isSystemError, type Scratch } from '@graphdriver/sys'
import { capabilitiesOf } from './capabilities.ts'
import { discardLayers, hideLayer, makeLayer, reapLayers } from './construction.ts'
import { describeHome } from './description.ts'
import type { Engine, StackedLayer } from './engine.ts'
import { isCommitted } from './form.ts'
import { homePaths, layerExists, layerPaths, readParents } from './layout.ts'
import { checkStorageOptions } from './options.ts'

export class AufsDriver implements Driver {
  readonly name = 'aufs'
  readonly home: string
  readonly capabilities: Capabilities
  readonly #engine: Engine
  readonly #workers: TreeWorkers
  readonly #references: MountReferences
  readonly #naive: DiffDriver
  /** A layer was hidden and not wholly deleted; the next `remove` does it. */
  #leftovers = false

  /**
   * @param home exists, with its directories
   * @param workers the driver's own; `cleanup` ends them
   */
  constructor(home: string, engine: Engine, workers: TreeWorkers) {
    this.home = home
    this.capabilities = capabilitiesOf(engine)
    this.#engine = engine
    this.#workers = workers
    this.#references = new MountReferences((target) => engine.isMounted(target))
    this.#naive = naiveDiff(this, workers)
  }

  async create(id: LayerId, options: CreateOptions = {}): Promise<void> {
    checkStorageOptions(id, options.storageOptions)
    const { parent, signal } = options
    const { maxDepth } = this.capabilities
    const commit = (below: LayerId): Promise<void> => this.#engine.commit(below, { signal })
    await makeLayer({ home: this.home, id, parent, maxDepth, commit, signal }, this.#workers)
  }

  /** An image layer and a container's are the same on disk. */
  createReadWrite(id: LayerId, options?: CreateOptions): Promise<void> {
    return this.create(id, options)
  }

  async remove(id: LayerId, options?: CallOptions): Promise<void> {
    options?.signal?.throwIfAborted()
    await this.#reapLeftovers()
    const hidden: Scratch[] = []
    await this.#references.forget(layerPaths(this.home, id).mount, () => {
      hidden.push(...hideLayer(this.home, id))
    })
    try {
      await discardLayers(hidden, this.#workers, options)
    } catch (error) {
      this.#leftovers = true
      throw error
    }
  }

  /** Nothing is below a base layer: it is shown as it is, unmounted. */
  async get(id: LayerId, options: GetOptions = {}): Promise<Mount> {
    options.signal?.throwIfAborted()
    const layer = this.#find(id)
    const paths = layerPaths(this.home, id)
    if (layer.parents.length === 0) return layerMount(id, paths.diff, isCommitted(paths))
    await this.#acquire(layer, paths.mount, options)
    return layerMount(id, paths.mount, isCommitted(paths), (mounted) => this.put(mounted))
  }

  async put(id: LayerId): Promise<void> {
    if (!layerExists(this.home, id)) return
    const layer = this.#find(id)
    if (layer.parents.length === 0) return
    await this.#references.release(layerPaths(this.home, id).mount, () => this.#engine.unmount(layer))
  }

  async exists(id: LayerId): Promise<boolean> {
    return layerExists(this.home, id)
  }

  async *layers(options?: CallOptions): AsyncGenerator<LayerId> {
    for await (const entry of await opendir(homePaths(this.home).records)) {
      options?.signal?.throwIfAborted()
      const id = entry.isFile() ? asLayerId(entry.name) : undefined
      if (id !== undefined) yield id
    }
  }

  async status(): Promise<readonly StatusRow[]> {
    return describeHome(this.home, this.#engine)
  }

  /** Docker tells nothing of a layer of aufs either. */
  async metadata(id: LayerId): Promise<Readonly<Record<string, string>>> {
    this.#find(id)
    return {}
  }

  async *diff(id: LayerId, parent: LayerId | undefined, options: CallOptions = {}): TarStream {
    const layer = this.#findOwn(id, parent, options)
    if (layer === undefined) {
      yield* this.#naive.diff(id, parent, options)
      return
    }
    await using reading = await this.#engine.read(layer, () => this.get(id, options), options)
    const { whiteouts } = reading
    yield* this.#workers.pack(layerPaths(this.home, id).diff, { ...options, whiteouts })
  }

  async changes(
    id: LayerId,
    parent: LayerId | undefined,
    options: CallOptions = {},
  ): Promise<readonly Change[]> {
    const layer = this.#findOwn(id, parent, options)
    if (parent === undefined || layer === undefined) return this.#naive.changes(id, parent, options)
    try {
      await using reading = await this.#engine.read(layer, () => this.get(id, options), options)
      await using base = await this.get(parent, options)
      const upper = layerPaths(this.home, id).diff
      const mounted = base.path === layerPaths(this.home, parent).mount
      const { whiteouts } = reading
      return await upperChanges({ upper, base: base.path, mounted, whiteouts, signal: options.signal })
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
    options.signal?.throwIfAborted()
    const layer = this.#find(id)
    const { diff } = layerPaths(this.home, id)
    if (layer.parents[0] !== parent) return this.#naive.applyDiff(id, parent, tar, options)
    if (parent === undefined)
      return (await this.#workers.apply(diff, tar, { ...options, whiteouts: 'remove' })).contentBytes
    return await this.#engine.write(
      layer,
      async (lowers, whiteouts) =>
        (await this.#workers.apply(diff, tar, { ...options, whiteouts, lowers })).contentBytes,
      options,
    )
  }

  async diffSize(id: LayerId, parent: LayerId | undefined, options: CallOptions = {}): Promise<number> {
    const layer = this.#findOwn(id, parent, options)
    if (layer === undefined) return this.#naive.diffSize(id, parent, options)
    return this.#workers.size(layerPaths(this.home, id).diff, options)
  }

  /** The layer's own directory as it is: every file that the layer's own tar has is in it. */
  async ownFiles(id: LayerId): Promise<Mount> {
    this.#find(id)
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

  #find(id: LayerId): StackedLayer {
    return { id, parents: readParents(this.home, id) }
  }

  /** The layer, if its directory is exactly what its parent, which is `parent`, lacks. @throws GD_LAYER_NOT_FOUND, for the parent too */
  #findOwn(id: LayerId, parent: LayerId | undefined, { signal }: CallOptions): StackedLayer | undefined {
    signal?.throwIfAborted()
    const layer = this.#find(id)
    if (parent !== undefined) this.#find(parent)
    if (layer.parents.length === 0 || layer.parents[0] !== parent) return undefined
    return this.#engine.nativeDiff.native ? layer : undefined
  }

  async #acquire(layer: StackedLayer, target: string, { mountLabel }: GetOptions): Promise<void> {
    const label = this.capabilities.mountLabel ? mountLabel : undefined
    let joined = false
    await this.#references.acquire(target, async () => {
      joined = !(await this.#mount(layer, label))
    })
    // Another process mounted it at the same moment. It counts as a user, so that this one does not unmount it.
    if (joined) await this.#references.acquire(target, () => undefined)
  }

  async #mount(layer: StackedLayer, label: string | undefined): Promise<boolean> {
    try {
      return await this.#engine.mount(layer, label)
    } catch (error) {
      // Removed since its record was read, it is a layer that is not found.
      if (isSystemError(error, 'ENOENT')) this.#find(layer.id)
      throw error
    }
  }
}
