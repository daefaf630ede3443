import { existsSync, lstatSync } from 'node:fs'
import { opendir } from 'node:fs/promises'
import path from 'node:path'
import {
  hasRedirect,
  naiveDiff,
  type OverlayWhiteouts,
  type TreeWorkers,
  upperChanges,
} from '@graphdriver/archive'
import {
  asLayerId,
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
import {
  Departures,
  isStackMounted,
  mountExclusively,
  mountMappedStack,
  notedMap,
  noteMap,
  type OverlayHost,
} from '@graphdriver/sys/overlayfs'
import { applyToCopy } from './application.ts'
import { capabilitiesOf } from './capabilities.ts'
import { discardLayer, hideLayer, makeLayer, reapLayers, type Tools } from './construction.ts'
import { describeHost, describeLayer } from './description.ts'
import { layerExists, type LayerForm, layerPaths, readForm, volumeOf } from './layout.ts'

export class OverlayDriver implements Driver {
  readonly name = 'overlay'
  readonly home: string
  readonly capabilities: Capabilities
  protected readonly host: OverlayHost
  readonly #tools: Tools
  readonly #workers: TreeWorkers
  protected readonly volumes: StackVolumes
  readonly #references = new MountReferences(isStackMounted)
  readonly #departures = new Departures()
  readonly #views: MappedViews
  readonly #naive: DiffDriver
  readonly #whiteouts: OverlayWhiteouts
  /** A layer was hidden and not wholly deleted; the next `remove` does it. */
  #leftovers = false

  /**
   * @param home exists
   * @param tools the driver's own; `cleanup` ends the workers
   */
  constructor(home: string, host: OverlayHost, tools: Tools) {
    const { workers, limits } = tools
    this.home = home
    this.capabilities = capabilitiesOf(host, limits)
    this.#tools = tools
    // What is below is whole trees, which have no limits.
    this.volumes = new StackVolumes(
      async (id) => [id],
      (id) => limits.open(layerPaths(home, id).directory),
    )
    this.host = host
    this.#workers = workers
    this.#naive = naiveDiff(this, workers)
    this.#views = new MappedViews(this.name, home, mappedMounts)
    this.#whiteouts = { format: 'overlay', xattr: host.xattr }
  }

  create(id: LayerId, options?: CreateOptions): Promise<void> {
    return this.#create(id, 'image', options)
  }

  /** But for limits, what is made of it later tells an image layer from a container's. */
  createReadWrite(id: LayerId, options?: CreateOptions): Promise<void> {
    return this.#create(id, 'container', options)
  }

  async remove(id: LayerId, options?: CallOptions): Promise<void> {
    options?.signal?.throwIfAborted()
    await this.#reapLeftovers()
    await this.#views.hide(id)
    let hidden: Scratch | undefined
    await this.#references.forget(layerPaths(this.home, id).merged, async () => {
      hidden = hideLayer(this.home, id)
      // What it is mounted with goes with its directory, below.
      await this.volumes.letGo(id)
    })
    try {
      if (hidden !== undefined) await discardLayer(hidden, this.#tools, options)
    } catch (error) {
      this.#leftovers = true
      throw error
    }
  }

  /** A whole tree is there without being mounted. It must not be written to: its files are those of other layers. */
  async get(id: LayerId, options: GetOptions = {}): Promise<Mount> {
    options.signal?.throwIfAborted()
    const form = await readForm(this.home, id)
    const { root, merged, committed } = layerPaths(this.home, id)
    if (form.kind === 'tree') return layerMount(id, root, existsSync(committed))
    await this.#show(id, form.lower, options)
    return layerMount(id, merged, false, (mounted) => this.put(mounted))
  }

  async getMapped(id: LayerId, ids: IdMap, options: GetOptions = {}): Promise<Mount> {
    options.signal?.throwIfAborted()
    checkIdMap(ids)
    const form = await readForm(this.home, id)
    const { directory, root, merged, committed } = layerPaths(this.home, id)
    if (form.kind === 'tree') return this.#views.show(id, layerMount(id, root, existsSync(committed)), ids)
    requireMappable(this.name, id, this.host.program, volumeOf(directory).exists() ? [id] : [])
    await this.#show(id, form.lower, options, ids)
    return layerMount(id, merged, false, (mounted) => this.put(mounted))
  }

  /** Mounts it, or joins who has it mounted in the same manner. */
  async #show(id: LayerId, lower: LayerId | undefined, options: GetOptions, ids?: IdMap): Promise<void> {
    const { merged, directory } = layerPaths(this.home, id)
    let isOurs = false
    await this.#references.acquire(merged, async () => (isOurs = await this.#mount(id, lower, options, ids)))
    if (isOurs || notedMap(directory) === (ids && idMapKey(ids))) return
    await this.put(id)
    throw mappedOtherwise(this.name, id)
  }

  async put(id: LayerId): Promise<void> {
    const { directory, merged, work } = layerPaths(this.home, id)
    if (!isThere(work)) return await this.#views.putLeft(id)
    await this.#references.release(merged, async () => {
      await this.#departures.unmount({ target: merged, lock: work })
      // A filesystem in a file is unmounted next, which nothing may use then.
      if (volumeOf(directory).exists()) await this.#departures.gone(merged)
      await this.volumes.letGo(id)
    })
  }

  async exists(id: LayerId): Promise<boolean> {
    return layerExists(this.home, id)
  }

  async *layers(options?: CallOptions): AsyncGenerator<LayerId> {
    for await (const entry of await opendir(this.home)) {
      options?.signal?.throwIfAborted()
      const id = entry.isDirectory() ? asLayerId(entry.name) : undefined
      if (id !== undefined && layerExists(this.home, id)) yield id
    }
  }

  async status(): Promise<readonly StatusRow[]> {
    return describeHost(this.home, this.host)
  }

  metadata(id: LayerId): Promise<Readonly<Record<string, string>>> {
    return describeLayer(this.home, id)
  }

  async setQuota(id: LayerId, quota: Quota): Promise<void> {
    await readForm(this.home, id)
    await this.#tools.limits.change(id, layerPaths(this.home, id).directory, quota)
  }

  async usage(id: LayerId): Promise<Usage | undefined> {
    const { kind } = await readForm(this.home, id)
    return kind === 'tree' ? undefined : this.#tools.limits.usage(layerPaths(this.home, id).directory)
  }

  async *diff(id: LayerId, parent: LayerId | undefined, options: CallOptions = {}): TarStream {
    await using _ = await this.volumes.open(id)
    if (await this.#isUpper(id, parent, options)) {
      yield* this.#workers.pack(layerPaths(this.home, id).upper, { ...options, whiteouts: this.#whiteouts })
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
    const base = layerPaths(this.home, parent).root
    const { upper } = layerPaths(this.home, id)
    try {
      const whiteouts = this.#whiteouts
      return await upperChanges({ upper, base, mounted: false, whiteouts, signal: options.signal })
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
    const form = await readForm(this.home, id)
    if (form.kind === 'tree') {
      const { root } = layerPaths(this.home, id)
      const apply = { whiteouts: 'remove', shared: true, signal: options.signal } as const
      return (await this.#workers.apply(root, tar, apply)).contentBytes
    }
    const limited = this.#tools.limits.isLimited(layerPaths(this.home, id).directory)
    // Whole trees have no limits: a layer that has stays what it is.
    if (limited || form.lower === undefined || !(await this.#standsOn(form, parent)))
      return this.#naive.applyDiff(id, parent, tar, options)
    return applyToCopy(this.home, id, form.lower, tar, this.#workers, options)
  }

  async diffSize(id: LayerId, parent: LayerId | undefined, options: CallOptions = {}): Promise<number> {
    await using _ = await this.volumes.open(id)
    if (!(await this.#isUpper(id, parent, options))) return await this.#naive.diffSize(id, parent, options)
    return await this.#workers.size(layerPaths(this.home, id).upper, options)
  }

  /** Layers that are mounted stay mounted: they belong to whoever got them, in this process or another. */
  async cleanup(): Promise<void> {
    await this.#departures.allGone()
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
    await makeLayer({ home: this.home, host: this.host, id, parent, quota, signal }, this.#tools)
  }

  /** @returns whether this call mounted it */
  async #mount(
    id: LayerId,
    lower: LayerId | undefined,
    { mountLabel }: GetOptions,
    ids: IdMap | undefined,
  ): Promise<boolean> {
    const { home } = this
    const { directory, merged, work } = layerPaths(home, id)
    const { options, appendsLower } = this.host
    const label = mountLabelOf(`layer ${id}`, mountLabel, this.capabilities)
    const upper = { diff: path.join(id, 'upper'), work: path.join(id, 'work') }
    await this.#departures.gone(merged)
    try {
      const prepare = (): void => {
        this.#tools.limits.makeRoom(directory, work)
        noteMap(directory, ids && idMapKey(ids))
      }
      const point = { home, target: merged, lock: work, appendsLower, prepare }
      const below = lower === undefined ? path.join(id, 'nothing') : path.join(lower, 'root')
      const stack = { lower: [below], upper, options, label }
      const mount = (): Promise<boolean> =>
        ids === undefined ? mountExclusively(point, stack) : mountMappedStack(point, stack, ids)
      return await this.volumes.holding(id, () => this.#tools.limits.mounting(directory, mount))
    } catch (error) {
      // Removed since its record was read, it is a layer that is not found.
      if (isSystemError(error, 'ENOENT')) await readForm(home, id)
      throw ids === undefined ? error : unmappable(this.name, id, error)
    }
  }

  /** Whether the layer's upper directory is exactly what `parent` lacks, and can be read as that. */
  async #isUpper(id: LayerId, parent: LayerId | undefined, { signal }: CallOptions): Promise<boolean> {
    signal?.throwIfAborted()
    const form = await readForm(this.home, id)
    if (form.kind === 'tree' || !this.host.nativeDiff.native) return false
    if (!(await this.#standsOn(form, parent))) return false
    return !this.host.mayRedirect || !(await hasRedirect(layerPaths(this.home, id).upper, signal))
  }

  /** A parent of the other form has the same lower layer, and changes of its own over it. */
  async #standsOn(form: LayerForm, parent: LayerId | undefined): Promise<boolean> {
    if (form.kind === 'tree' || parent !== form.lower) return false
    if (parent === undefined) return true
    return (await readForm(this.home, parent)).kind === 'tree'
  }
}

/** Itself, not what it may lead to. */
function isThere(file: string): boolean {
  return lstatSync(file, { throwIfNoEntry: false }) !== undefined
}
