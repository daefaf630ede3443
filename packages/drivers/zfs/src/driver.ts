import { setTimeout } from 'node:timers/promises'
import { type CompareOptions, naiveDiff, type Touched, type TreeWorkers } from '@graphdriver/archive'
import {
  type CallOptions,
  type Capabilities,
  type Change,
  type CreateOptions,
  type DiffDriver,
  type Driver,
  type GetOptions,
  type IdMap,
  GraphDriverError,
  isGraphDriverError,
  type LayerId,
  layerMount,
  MappedViews,
  type Mount,
  MountReferences,
  mountLabelOf,
  type Quota,
  type StatusRow,
  type TarStream,
  type Usage,
} from '@graphdriver/core'
import {
  contextOption,
  detach,
  hasCapability,
  hasSelinux,
  isMountPoint,
  isSystemError,
  mappedMounts,
  mount,
  removeMountPoint,
} from '@graphdriver/sys'
import { datasetsIn, readProperties, setProperties } from '@graphdriver/sys/zfs'
import { discardDataset, hideLayer, makeLayer, reapDatasets } from './construction.ts'
import { datasetOf, layerNotFound, layerOf, mountPoint } from './layout.ts'
import { changedSize, sizeOf } from './options.ts'
import { describeDataset } from './description.ts'
import { type Compared, touchedSince } from './difference.ts'
import { makeMountPoint, renewMountPoint } from './mount-point.ts'
import { inPool, inPoolWhenFree } from './pool.ts'

interface Comparison extends AsyncDisposable {
  readonly trees: readonly [tree: string, base: string | undefined, options: CompareOptions]
}

export class ZfsDriver implements Driver {
  readonly name = 'zfs'
  readonly home: string
  readonly capabilities: Capabilities = {
    sharing: 'blocks',
    diff: { native: true },
    copyUp: 'none',
    maxDepth: Number.POSITIVE_INFINITY,
    timestamps: 'nanoseconds',
    names: 'bytes',
    hardLinks: true,
    xattrs: 'all',
    deviceNodes: hasCapability('CAP_MKNOD'),
    ownership: 'any',
    quota: 'dataset',
    inodeQuota: false,
    mappedOwners: true,
    mountLabel: hasSelinux(),
  }
  readonly #filesystem: string
  readonly #workers: TreeWorkers
  readonly #references = new MountReferences(isMountPoint)
  readonly #diff: DiffDriver
  readonly #views: MappedViews
  /** A layer was hidden and not deleted; the next `remove` tries again. */
  #leftovers: boolean

  /**
   * @param home exists, with `graph/` in it
   * @param filesystem the dataset in which the layers are
   * @param workers the driver's own; `cleanup` ends them
   * @param isClean whether no dataset is left that is to go
   */
  constructor(home: string, filesystem: string, workers: TreeWorkers, isClean = true) {
    this.#leftovers = !isClean
    this.home = home
    this.#filesystem = filesystem
    this.#workers = workers
    this.#diff = naiveDiff(this, workers)
    this.#views = new MappedViews(this.name, this.home, mappedMounts)
  }

  async create(id: LayerId, { parent, signal, storageOptions }: CreateOptions = {}): Promise<void> {
    const size = sizeOf(id, storageOptions)
    signal?.throwIfAborted()
    makeLayer({ home: this.home, filesystem: this.#filesystem, id, parent, size })
  }

  createReadWrite(id: LayerId, options?: CreateOptions): Promise<void> {
    return this.create(id, options)
  }

  async remove(id: LayerId, options?: CallOptions): Promise<void> {
    options?.signal?.throwIfAborted()
    await this.#views.hide(id)
    let hidden: string | undefined
    await this.#references.forget(mountPoint(this.home, id), async () => {
      hidden = hideLayer(this.home, this.#filesystem, id)
    })
    if (hidden !== undefined && !discardDataset(hidden)) this.#leftovers = true
    // Last: what was removed before its children goes with the last of them.
    if (this.#leftovers) this.#leftovers = !reapDatasets(this.#filesystem)
  }

  async get(id: LayerId, { signal, mountLabel }: GetOptions = {}): Promise<Mount> {
    signal?.throwIfAborted()
    const target = mountPoint(this.home, id)
    const label = mountLabelOf(`layer ${id}`, mountLabel, this.capabilities)
    await this.#references.acquire(target, () => this.#mount(id, target, label))
    return layerMount(id, target, false, (mounted) => this.#put(mounted))
  }

  async getMapped(id: LayerId, ids: IdMap, options?: GetOptions): Promise<Mount> {
    return await this.#views.show(id, await this.get(id, options), ids)
  }

  async put(id: LayerId): Promise<void> {
    await this.#views.putLeft(id)
    await this.#put(id)
  }

  async #put(id: LayerId): Promise<void> {
    const target = mountPoint(this.home, id)
    await this.#references.release(target, () => {
      detach(target)
      renewMountPoint(target)
    })
  }

  async exists(id: LayerId): Promise<boolean> {
    return this.#exists(id)
  }

  async *layers({ signal }: CallOptions = {}): AsyncGenerator<LayerId> {
    for (const dataset of datasetsIn(this.#filesystem)) {
      signal?.throwIfAborted()
      const id = layerOf(this.#filesystem, dataset)
      if (id !== undefined) yield id
    }
  }

  status(): Promise<readonly StatusRow[]> {
    return describeDataset(this.#filesystem)
  }

  async metadata(id: LayerId): Promise<Readonly<Record<string, string>>> {
    this.find(id)
    return { Mountpoint: mountPoint(this.home, id), Dataset: datasetOf(this.#filesystem, id) }
  }

  async setQuota(id: LayerId, quota: Quota): Promise<void> {
    const dataset = this.find(id)
    const size = changedSize(id, quota)
    // ZFS takes no quota that is less than what there is, not even the one that there is.
    if (size === undefined || readProperties(dataset)?.get('quota') === BigInt(size)) return
    for (let left = patience.tries; ; left--) {
      try {
        inPool(dataset, () => setProperties(dataset, { quota: BigInt(size) }))
        return
      } catch (error) {
        if (!isGraphDriverError(error, 'GD_NO_SPACE')) throw error
        // What is about to be written may be counted several times.
        const { bytes } = await this.usage(id)
        if (bytes >= size || left === 0) throw lessThanUsed(id, size, error)
        await setTimeout(patience.pause)
      }
    }
  }

  async usage(id: LayerId): Promise<Usage> {
    return { bytes: Number(readProperties(this.find(id))?.get('used') ?? 0) }
  }

  async *diff(id: LayerId, parent: LayerId | undefined, options: CallOptions = {}): TarStream {
    await using compared = await this.#compare(id, parent, options)
    yield* this.#workers.diff(...compared.trees)
  }

  async changes(
    id: LayerId,
    parent: LayerId | undefined,
    options: CallOptions = {},
  ): Promise<readonly Change[]> {
    await using compared = await this.#compare(id, parent, options)
    return await this.#workers.changes(...compared.trees)
  }

  applyDiff(
    id: LayerId,
    parent: LayerId | undefined,
    tar: TarStream,
    options?: CallOptions,
  ): Promise<number> {
    return this.#diff.applyDiff(id, parent, tar, options)
  }

  async diffSize(id: LayerId, parent: LayerId | undefined, options: CallOptions = {}): Promise<number> {
    await using compared = await this.#compare(id, parent, options)
    const changes = await this.#workers.changes(...compared.trees)
    return await this.#workers.changesSize(compared.trees[0], changes, options)
  }

  /** Layers that are mounted stay mounted: they belong to whoever got them, in this process or another. */
  async cleanup(): Promise<void> {
    await this.#workers[Symbol.asyncDispose]()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.cleanup()
  }

  /** What two layers are compared by: their trees, mounted meanwhile, and where these may differ. */
  async #compare(id: LayerId, parent: LayerId | undefined, { signal }: CallOptions): Promise<Comparison> {
    const layer = await this.get(id, { signal })
    let base: Mount | undefined
    const release = async (): Promise<void> => {
      await base?.[Symbol.asyncDispose]()
      await layer[Symbol.asyncDispose]()
    }
    try {
      if (parent !== undefined) base = await this.get(parent, { signal })
      const touched = base === undefined ? undefined : this.touched(layer, base)
      return { trees: [layer.path, base?.path, { signal, touched }], [Symbol.asyncDispose]: release }
    } catch (error) {
      await release()
      throw error
    }
  }

  /** Where the trees of two layers may differ; undefined where ZFS cannot tell. */
  protected touched(layer: Mount, base: Mount): Touched | undefined {
    const compared = ({ id, path: tree }: Mount): Compared => ({
      dataset: datasetOf(this.#filesystem, id),
      tree,
    })
    return touchedSince(compared(layer), compared(base), this.home)
  }

  #exists(id: LayerId): boolean {
    return readProperties(datasetOf(this.#filesystem, id)) !== undefined
  }

  /** @returns the dataset. @throws GD_LAYER_NOT_FOUND */
  protected find(id: LayerId): string {
    if (this.#exists(id)) return datasetOf(this.#filesystem, id)
    throw layerNotFound(id)
  }

  /** By mount(2): no process is started. ZFS itself lets a dataset be mounted once at a place. */
  async #mount(id: LayerId, target: string, label?: string): Promise<void> {
    // dockerd leaves none.
    inPoolWhenFree(this.#filesystem, () => makeMountPoint(target))
    try {
      const data = label === undefined ? undefined : contextOption(label)
      mount({ source: datasetOf(this.#filesystem, id), target, type: 'zfs', data })
    } catch (error) {
      removeMountPoint(target)
      if (isSystemError(error, 'ENOENT', 'EINVAL', 'ENAMETOOLONG') && !this.#exists(id))
        throw layerNotFound(id)
      throw error
    }
  }
}

/** A transaction of ZFS takes five seconds at most, unless the pool is slow. */
const patience: { readonly tries: number; readonly pause: number } = { tries: 40, pause: 250 }

function lessThanUsed(id: LayerId, size: number, cause: unknown): GraphDriverError<'GD_INVALID_OPTION'> {
  const message = `zfs: layer ${id}: size ${size} is less than it has; remove something first`
  const details = { option: 'size', value: String(size) }
  return new GraphDriverError('GD_INVALID_OPTION', message, details, { cause })
}
