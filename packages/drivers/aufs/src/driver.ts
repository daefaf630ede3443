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
  mountLabelOf,
  type Quota,
  type StatusRow,
  type TarStream,
  type Usage,
} from '@graphdriver/core'
import type { StackVolumes } from '@graphdriver/quota'
import { isSystemError, type Scratch } from '@graphdriver/sys'
import { capabilitiesOf } from './capabilities.ts'
import { discardLayers, hideLayer, makeLayer, reapLayers, type Tools } from './construction.ts'
import { describeHome } from './description.ts'
import type { Engine, StackedLayer } from './engine.ts'
import { isCommitted } from './form.ts'
import { homePaths, layerExists, layerPaths, readParents } from './layout.ts'

export class AufsDriver implements Driver {
  readonly name = 'aufs'
  readonly home: string
  readonly capabilities: Capabilities
  readonly #engine: Engine
  readonly #tools: Tools
  readonly #workers: TreeWorkers
  protected readonly volumes: StackVolumes
  readonly #references: MountReferences
  readonly #naive: DiffDriver
  /** A layer was hidden and not wholly deleted; the next `remove` does it. */
  #leftovers = false

  /**
   * @param home exists, with its directories
   * @param tools the driver's own; `cleanup` ends the workers
   */
  constructor(home: string, engine: Engine, tools: Tools, volumes: StackVolumes) {
    const { workers, limits } = tools
    this.home = home
    this.capabilities = capabilitiesOf(engine, limits)
    this.#engine = engine
    this.#tools = tools
    this.#workers = workers
    this.volumes = volumes
    this.#references = new MountReferences((target) => engine.isMounted(target))
    this.#naive = naiveDiff(this, workers)
  }

  create(id: LayerId, options?: CreateOptions): Promise<void> {
    return this.#create(id, 'image', options)
  }

  /** On disk the same as an image layer, but for limits. */
  createReadWrite(id: LayerId, options?: CreateOptions): Promise<void> {
    return this.#create(id, 'container', options)
  }

  async remove(id: LayerId, options?: CallOptions): Promise<void> {
    options?.signal?.throwIfAborted()
    await this.#reapLeftovers()
    const hidden: Scratch[] = []
    await this.#references.forget(layerPaths(this.home, id).mount, async () => {
      hidden.push(...hideLayer(this.home, id))
      // What it is mounted with goes with its directory, below.
      await this.volumes.letGo(id)
    })
    try {
      await discardLayers(hidden, this.#tools, options)
    } catch (error) {
      this.#leftovers = true
      throw error
    }
  }

  /** Nothing is below a base layer: it is shown as it is, unmounted. */
  async get(id: LayerId, options: GetOptions = {}): Promise<Mount> {
    options.signal?.throwIfAborted()
    const layer = this.find(id)
    const paths = layerPaths(this.home, id)
    if (!this.isStack(layer)) return layerMount(id, paths.diff, isCommitted(paths))
    await this.#references.acquire(paths.mount, () => this.#mount(layer, options))
    return layerMount(id, paths.mount, isCommitted(paths), (mounted) => this.put(mounted))
  }

  async put(id: LayerId): Promise<void> {
    if (!layerExists(this.home, id)) return
    const layer = this.find(id)
    if (!this.isStack(layer)) return
    await this.#references.release(layerPaths(this.home, id).mount, async () => {
      await this.#engine.unmount(layer)
      await this.volumes.letGo(id)
    })
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
    this.find(id)
    return {}
  }

  async setQuota(id: LayerId, quota: Quota): Promise<void> {
    this.find(id)
    await this.#tools.limits.change(id, layerPaths(this.home, id).own, quota)
  }

  async usage(id: LayerId): Promise<Usage | undefined> {
    this.find(id)
    return this.#tools.limits.usage(layerPaths(this.home, id).own)
  }

  async *diff(id: LayerId, parent: LayerId | undefined, options: CallOptions = {}): TarStream {
    const layer = this.#findOwn(id, parent, options)
    await using _ = await this.volumes.open(id)
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
    await using _ = await this.volumes.open(id)
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
    const layer = this.find(id)
    await using _ = await this.volumes.open(id)
    const { diff } = layerPaths(this.home, id)
    if (layer.parents[0] !== parent) return await this.#naive.applyDiff(id, parent, tar, options)
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
    await using _ = await this.volumes.open(id)
    return await this.#workers.size(layerPaths(this.home, id).diff, options)
  }

  /** The layer's own directory as it is: every file that the layer's own tar has is in it. */
  async ownFiles(id: LayerId): Promise<Mount> {
    this.find(id)
    const volumes = await this.volumes.open(id)
    const { diff } = layerPaths(this.home, id)
    return layerMount(id, diff, true, async () => volumes?.[Symbol.asyncDispose]())
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
    this.#leftovers = !(await reapLayers(this.home, this.#tools))
  }

  async #create(
    id: LayerId,
    kind: 'image' | 'container',
    { parent, signal, storageOptions }: CreateOptions = {},
  ): Promise<void> {
    const quota = this.#tools.limits.wanted(id, storageOptions, kind)
    const { home } = this
    const { maxDepth } = this.capabilities
    const commit = (below: LayerId): Promise<void> => this.#engine.commit(below, { signal })
    await using _ = parent === undefined ? undefined : await this.volumes.open(parent)
    await makeLayer({ home, id, parent, maxDepth, quota, commit, signal }, this.#tools)
  }

  /** Whether a layer is mounted to be seen: a base layer is only where it has limits. */
  protected isStack({ id, parents }: StackedLayer): boolean {
    return parents.length > 0 || this.#tools.limits.isLimited(layerPaths(this.home, id).own)
  }

  protected find(id: LayerId): StackedLayer {
    return { id, parents: readParents(this.home, id) }
  }

  /** The layer, if its directory is exactly what its parent, which is `parent`, lacks. @throws GD_LAYER_NOT_FOUND, for the parent too */
  #findOwn(id: LayerId, parent: LayerId | undefined, { signal }: CallOptions): StackedLayer | undefined {
    signal?.throwIfAborted()
    const layer = this.find(id)
    if (parent !== undefined) this.find(parent)
    if (layer.parents.length === 0 || layer.parents[0] !== parent) return undefined
    return this.#engine.nativeDiff.native ? layer : undefined
  }

  /** @returns whether this call mounted it */
  async #mount(layer: StackedLayer, { mountLabel }: GetOptions): Promise<boolean> {
    const label = mountLabelOf(`layer ${layer.id}`, mountLabel, this.capabilities)
    try {
      const mount = (): Promise<boolean> => this.#engine.mount(layer, label)
      const { own } = layerPaths(this.home, layer.id)
      return await this.volumes.holding(layer.id, () => this.#tools.limits.mounting(own, mount))
    } catch (error) {
      // Removed since its record was read, it is a layer that is not found.
      if (isSystemError(error, 'ENOENT')) this.find(layer.id)
      throw error
    }
  }
}
