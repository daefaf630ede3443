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
  checkIdMap,
  type CreateOptions,
  type DiffDriver,
  type Driver,
  type GetOptions,
  type IdMap,
  idMapKey,
  isGraphDriverError,
  type LayerId,
  layerMount,
  MappedViews,
  mappedOtherwise,
  type Mount,
  MountReferences,
  mountLabelOf,
  type Quota,
  requireMappable,
  type StatusRow,
  type TarStream,
  unmappable,
  type Usage,
} from '@graphdriver/core'
import { StackVolumes } from '@graphdriver/quota'
import { isSystemError, mappedMounts, type Scratch } from '@graphdriver/sys'
import { Departures, isStackMounted, notedMap, type OverlayHost } from '@graphdriver/sys/overlayfs'
import { capabilitiesOf } from './capabilities.ts'
import { discardLayer, hideLayer, inheritRoot, makeLayer, reapLayers, type Tools } from './construction.ts'
import { describeHost, describeLayer } from './description.ts'
import { layerPaths, type LayerRecord, readVolumes } from './layout.ts'
import { layerIds } from './links.ts'
import { isCommitted, isStack, mountLayer, unmountLayer } from './mounting.ts'
import { readAndMend, readLayer } from './record.ts'

export class Overlay2Driver implements Driver {
  readonly name = 'overlay2'
  readonly home: string
  readonly capabilities: Capabilities
  protected readonly host: OverlayHost
  readonly #tools: Tools
  readonly #workers: TreeWorkers
  readonly #references = new MountReferences(isStackMounted)
  readonly #departures = new Departures()
  readonly #views: MappedViews
  readonly #naive: DiffDriver
  readonly #whiteouts: OverlayWhiteouts
  protected readonly volumes: StackVolumes
  /** A layer was hidden and not wholly deleted; the next `remove` does it. */
  #leftovers = false
  /** Where trees are compared a layer is mounted to be applied to, and one with a child is so only for reading. */
  readonly applyBeside?: NonNullable<Driver['applyBeside']>

  /**
   * @param home exists, with `l/` in it
   * @param tools the driver's own; `cleanup` ends the workers
   */
  constructor(home: string, host: OverlayHost, tools: Tools) {
    const { workers, limits } = tools
    this.home = home
    this.capabilities = capabilitiesOf(host, limits)
    this.#tools = tools
    this.host = host
    this.#workers = workers
    this.#naive = naiveDiff(this, workers)
    this.#views = new MappedViews(this.name, home, mappedMounts)
    this.volumes = new StackVolumes(
      (id) => readVolumes(home, id),
      (id) => limits.open(layerPaths(home, id).directory),
    )
    this.#whiteouts = { format: 'overlay', xattr: host.xattr }
    if (host.nativeDiff.native)
      this.applyBeside = (id, parent, tar, below, options = {}) =>
        this.#apply(id, parent, tar, options, below)
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
    await this.#views.hide(id)
    const hidden: Scratch[] = []
    await this.#references.forget(layerPaths(this.home, id).merged, async () => {
      hidden.push(...hideLayer(this.home, id))
      // What it is mounted with goes with its directory, below.
      await this.volumes.letGo(id)
    })
    try {
      const onLeft = (): void => {
        this.#leftovers = true
      }
      for (const scratch of hidden)
        await discardLayer(this.home, scratch, this.#tools, { ...options, id, onLeft })
    } catch (error) {
      this.#leftovers = true
      throw error
    }
  }

  async get(id: LayerId, options: GetOptions = {}): Promise<Mount> {
    options.signal?.throwIfAborted()
    const record = await readAndMend(this.home, id)
    const paths = layerPaths(this.home, id)
    if (!isStack(paths, record)) return layerMount(id, paths.diff, isCommitted(paths))
    await this.#show(id, record, options)
    return layerMount(id, paths.merged, isCommitted(paths), (mounted) => this.put(mounted))
  }

  async getMapped(id: LayerId, ids: IdMap, options: GetOptions = {}): Promise<Mount> {
    options.signal?.throwIfAborted()
    checkIdMap(ids)
    const record = await readAndMend(this.home, id)
    const paths = layerPaths(this.home, id)
    if (!isStack(paths, record))
      return this.#views.show(id, layerMount(id, paths.diff, isCommitted(paths)), ids)
    requireMappable(this.name, id, this.host.program, await readVolumes(this.home, id))
    await this.#show(id, record, options, ids)
    return layerMount(id, paths.merged, isCommitted(paths), (mounted) => this.put(mounted))
  }

  /** Mounts it, or joins who has it mounted in the same manner. */
  async #show(id: LayerId, record: LayerRecord, options: GetOptions, ids?: IdMap): Promise<void> {
    const { merged, directory } = layerPaths(this.home, id)
    let isOurs = false
    await this.#references.acquire(merged, async () => (isOurs = await this.#mount(id, record, options, ids)))
    if (isOurs || notedMap(directory) === (ids && idMapKey(ids))) return
    await this.put(id)
    throw mappedOtherwise(this.name, id)
  }

  async put(id: LayerId): Promise<void> {
    const paths = layerPaths(this.home, id)
    try {
      if (!isStack(paths, await readLayer(this.home, id))) return await this.#views.putLeft(id)
    } catch (error) {
      if (isGraphDriverError(error, 'GD_LAYER_NOT_FOUND')) return
      throw error
    }
    await this.#references.release(paths.merged, async () => {
      await unmountLayer(paths, this.#departures)
      await this.volumes.letGo(id)
    })
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
    return describeHost(this.host)
  }

  metadata(id: LayerId): Promise<Readonly<Record<string, string>>> {
    return describeLayer(this.home, id)
  }

  async setQuota(id: LayerId, quota: Quota): Promise<void> {
    await readLayer(this.home, id)
    await this.#tools.limits.change(id, layerPaths(this.home, id).directory, quota)
  }

  async usage(id: LayerId): Promise<Usage | undefined> {
    await readLayer(this.home, id)
    return this.#tools.limits.usage(layerPaths(this.home, id).directory)
  }

  async *diff(id: LayerId, parent: LayerId | undefined, options: CallOptions = {}): TarStream {
    await using _ = await this.volumes.open(id)
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
    await using _ = await this.volumes.open(id)
    if (parent === undefined || !(await this.#isUpper(id, parent, options)))
      return await this.#naive.changes(id, parent, options)
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

  applyDiff(
    id: LayerId,
    parent: LayerId | undefined,
    tar: TarStream,
    options: CallOptions = {},
  ): Promise<number> {
    return this.#apply(id, parent, tar, options)
  }

  async #apply(
    id: LayerId,
    parent: LayerId | undefined,
    tar: TarStream,
    options: CallOptions,
    below?: Promise<unknown>,
  ): Promise<number> {
    // Awaited late, and heard of at once.
    below?.catch(() => undefined)
    await using _ = await this.volumes.open(id)
    if (!(await this.#isUpper(id, parent, options))) {
      await below
      return await this.#naive.applyDiff(id, parent, tar, options)
    }
    const { lower } = await readLayer(this.home, id)
    const lowers = lower.map((link) => path.join(this.home, link))
    // Nothing is below a base layer, and it is shown unmounted: a device left as a whiteout would be seen.
    const whiteouts = parent === undefined ? 'remove' : this.#whiteouts
    const { diff } = layerPaths(this.home, id)
    const result = await this.#workers.apply(diff, tar, { ...options, whiteouts, lowers, below })
    if (parent !== undefined && below !== undefined) {
      await below
      // What the root is like, the layer below may have learned only now.
      if (result.hasRoot !== true) inheritRoot(layerPaths(this.home, parent).diff, diff)
    }
    return result.contentBytes
  }

  async diffSize(id: LayerId, parent: LayerId | undefined, options: CallOptions = {}): Promise<number> {
    await using _ = await this.volumes.open(id)
    if (!(await this.#isUpper(id, parent, options))) return await this.#naive.diffSize(id, parent, options)
    return await this.#workers.size(layerPaths(this.home, id).diff, options)
  }

  /** The upper directory as it is: every file that the layer's own tar has is in it. */
  async ownFiles(id: LayerId): Promise<Mount> {
    await readLayer(this.home, id)
    const volumes = await this.volumes.open(id)
    const { diff } = layerPaths(this.home, id)
    return layerMount(id, diff, true, async () => volumes?.[Symbol.asyncDispose]())
  }

  /** Layers that are mounted stay mounted: they belong to whoever got them, in this process or another. */
  async cleanup(): Promise<void> {
    await this.#departures.allGone()
    await this.#workers[Symbol.asyncDispose]()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.cleanup()
  }

  async #create(
    id: LayerId,
    kind: 'image' | 'container',
    { parent, signal, storageOptions }: CreateOptions = {},
  ): Promise<void> {
    const quota = this.#tools.limits.wanted(id, storageOptions, kind)
    const { home } = this
    const { maxDepth } = this.capabilities
    await using _ = parent === undefined ? undefined : await this.volumes.open(parent)
    await makeLayer({ home, id, parent, maxDepth, quota, signal }, this.#tools)
  }

  async #reapLeftovers(): Promise<void> {
    if (!this.#leftovers) return
    this.#leftovers = !(await reapLayers(this.home, this.#tools))
  }

  /** @returns whether this call mounted it */
  async #mount(
    id: LayerId,
    record: LayerRecord,
    { mountLabel }: GetOptions,
    ids: IdMap | undefined,
  ): Promise<boolean> {
    const label = mountLabelOf(`layer ${id}`, mountLabel, this.capabilities)
    await this.#departures.gone(layerPaths(this.home, id).merged)
    try {
      const { limits } = this.#tools
      const mount = (): Promise<boolean> =>
        mountLayer(this.home, id, record, this.host, limits, { label, ids })
      const { directory } = layerPaths(this.home, id)
      return await this.volumes.holding(id, () => limits.mounting(directory, mount))
    } catch (error) {
      // Removed since its record was read, it is a layer that is not found.
      if (isSystemError(error, 'ENOENT')) await readLayer(this.home, id)
      throw ids === undefined ? error : unmappable(this.name, id, error)
    }
  }

  /** Whether the layer's upper directory is exactly what `parent` lacks, and can be read as that. */
  async #isUpper(id: LayerId, parent: LayerId | undefined, { signal }: CallOptions): Promise<boolean> {
    signal?.throwIfAborted()
    const { lower } = await readLayer(this.home, id)
    if (!(await this.#isParent(parent, lower[0])) || !this.host.nativeDiff.native) return false
    return !this.host.mayRedirect || !(await hasRedirect(layerPaths(this.home, id).diff, signal))
  }

  async #isParent(parent: LayerId | undefined, nearest: string | undefined): Promise<boolean> {
    if (parent === undefined) return nearest === undefined
    const { link } = await readLayer(this.home, parent)
    return nearest === `l/${link}`
  }
}
