import { opendir } from 'node:fs/promises'
import { type CompareOptions, naiveDiff, type TreeWorkers } from '@graphdriver/archive'
import {
  asLayerId,
  type CallOptions,
  type Capabilities,
  type Change,
  checkQuota,
  type CreateOptions,
  type DiffDriver,
  type Driver,
  type GetOptions,
  type IdMap,
  type LayerId,
  layerMount,
  MappedViews,
  type Mount,
  type Quota,
  type StatusRow,
  type TarStream,
  type Usage,
} from '@graphdriver/core'
import { mappedMounts, hasCapability, inUserNamespace } from '@graphdriver/sys'
import { discardLayer, hideLayer, makeLayer, reapLayers } from './construction.ts'
import { touchedSince } from './difference.ts'
import { quotaAt } from './host.ts'
import { findLayer, layerExists, layersDirectory } from './layout.ts'
import { type BtrfsOptions, changedSize, sizeOf } from './options.ts'
import { demandQuota, exclusiveBytes, forgetSize, restoreSize, setSize } from './size.ts'

export class BtrfsDriver implements Driver {
  readonly name = 'btrfs'
  readonly home: string
  readonly capabilities: Capabilities
  readonly #options: BtrfsOptions
  readonly #workers: TreeWorkers
  readonly #diff: DiffDriver
  readonly #views: MappedViews
  readonly #readOnly: boolean
  /** A layer was hidden and not wholly deleted; the next `remove` does it. */
  #leftovers = false

  /**
   * @param home exists, with `subvolumes/` in it
   * @param workers the driver's own; `cleanup` ends them
   * @param readOnly nothing may be written there
   */
  constructor(home: string, options: BtrfsOptions, workers: TreeWorkers, readOnly: boolean) {
    this.home = home
    this.capabilities = capabilitiesOf(home, options)
    this.#options = options
    this.#workers = workers
    this.#diff = naiveDiff(this, workers)
    this.#views = new MappedViews(this.name, home, mappedMounts)
    this.#readOnly = readOnly
  }

  async create(id: LayerId, { parent, signal, storageOptions }: CreateOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    const { home } = this
    const size = sizeOf(id, storageOptions, this.#options)
    if (size !== undefined) demandQuota(home, this.#options)
    makeLayer(home, id, parent)
    if (size === undefined) return
    try {
      await setSize(home, id, size)
    } catch (error) {
      await this.remove(id).catch(() => undefined)
      throw error
    }
  }

  createReadWrite(id: LayerId, options?: CreateOptions): Promise<void> {
    return this.create(id, options)
  }

  async remove(id: LayerId, options?: CallOptions): Promise<void> {
    options?.signal?.throwIfAborted()
    await this.#reapLeftovers()
    await this.#views.hide(id)
    const hidden = hideLayer(this.home, id)
    await forgetSize(this.home, id)
    try {
      if (hidden !== undefined) await discardLayer(hidden, this.#workers, options)
    } catch (error) {
      this.#leftovers = true
      throw error
    }
  }

  /** There is nothing to mount, so nothing to count. */
  async get(id: LayerId, options?: GetOptions): Promise<Mount> {
    options?.signal?.throwIfAborted()
    const path = findLayer(this.home, id)
    if (!this.#readOnly) await restoreSize(this.home, id)
    return layerMount(id, path, false)
  }

  async getMapped(id: LayerId, ids: IdMap, options?: GetOptions): Promise<Mount> {
    return await this.#views.show(id, await this.get(id, options), ids)
  }

  put(id: LayerId): Promise<void> {
    return this.#views.putLeft(id)
  }

  async exists(id: LayerId): Promise<boolean> {
    return layerExists(this.home, id)
  }

  async *layers(options?: CallOptions): AsyncGenerator<LayerId> {
    for await (const entry of await opendir(layersDirectory(this.home))) {
      options?.signal?.throwIfAborted()
      const id = entry.isDirectory() ? asLayerId(entry.name) : undefined
      if (id !== undefined) yield id
    }
  }

  async status(): Promise<readonly StatusRow[]> {
    return [
      ['Backing Filesystem', 'btrfs'],
      ['Quota', quotaAt(this.home) === true ? 'enabled' : 'not enabled'],
    ]
  }

  /** Docker tells nothing of a layer of btrfs either. */
  async metadata(id: LayerId): Promise<Readonly<Record<string, string>>> {
    findLayer(this.home, id)
    return {}
  }

  /** Of any layer: the filesystem counts them all. */
  async setQuota(id: LayerId, quota: Quota): Promise<void> {
    findLayer(this.home, id)
    checkQuota(`btrfs: layer ${id}`, quota)
    const size = changedSize(id, quota, this.#options)
    if (size === undefined) return
    demandQuota(this.home, this.#options)
    await setSize(this.home, id, size)
  }

  async usage(id: LayerId): Promise<Usage | undefined> {
    const bytes = exclusiveBytes(findLayer(this.home, id))
    return bytes === undefined ? undefined : { bytes }
  }

  async *diff(id: LayerId, parent: LayerId | undefined, options: CallOptions = {}): TarStream {
    options.signal?.throwIfAborted()
    yield* this.#workers.diff(...this.#compared(id, parent, options))
  }

  async changes(
    id: LayerId,
    parent: LayerId | undefined,
    options: CallOptions = {},
  ): Promise<readonly Change[]> {
    options.signal?.throwIfAborted()
    return this.#workers.changes(...this.#compared(id, parent, options))
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
    const changes = await this.changes(id, parent, options)
    return this.#workers.changesSize(findLayer(this.home, id), changes, options)
  }

  /** What two layers are compared by: their trees, and where these may differ. */
  #compared(
    id: LayerId,
    parent: LayerId | undefined,
    { signal }: CallOptions,
  ): readonly [tree: string, base: string | undefined, options: CompareOptions] {
    const layer = findLayer(this.home, id)
    if (parent === undefined) return [layer, undefined, { signal }]
    const base = findLayer(this.home, parent)
    return [layer, base, { signal, touched: touchedSince(layer, base) }]
  }

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
}

function capabilitiesOf(home: string, { minSpace }: BtrfsOptions): Capabilities {
  const mapped = inUserNamespace()
  const quota = minSpace !== undefined || quotaAt(home) === true
  return {
    sharing: 'extents',
    diff:
      quotaAt(home) === undefined
        ? { native: false, reason: 'searching the trees of btrfs needs CAP_SYS_ADMIN; run as root' }
        : { native: true },
    copyUp: 'none',
    maxDepth: Number.POSITIVE_INFINITY,
    timestamps: 'nanoseconds',
    names: 'bytes',
    hardLinks: true,
    xattrs: 'all',
    deviceNodes: !mapped && hasCapability('CAP_MKNOD'),
    ownership: mapped ? 'mapped' : 'any',
    quota: quota ? 'qgroup' : 'none',
    inodeQuota: false,
    mappedOwners: !mapped,
    mountLabel: false,
  }
}
