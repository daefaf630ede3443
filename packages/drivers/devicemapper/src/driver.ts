import { naiveDiff, type TreeWorkers } from '@graphdriver/archive'
import {
  type CallOptions,
  type Capabilities,
  type Change,
  type CreateOptions,
  type DiffDriver,
  type Driver,
  type GetOptions,
  type IdMap,
  type GraphDriverError,
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
  hasCapability,
  hasSelinux,
  isMountPoint,
  isSystemError,
  mappedMounts,
  statfs,
  syncFilesystem,
} from '@graphdriver/sys'
import { describePool } from './description.ts'
import type { DeviceSet } from './device-set.ts'
import type { DeviceMapperHost } from './host.ts'
import {
  findLayer,
  makeLayer,
  mountLayer,
  readLayer,
  removeLayer,
  resizeLayer,
  unmountLayer,
} from './layers.ts'
import { deviceName, devicePrefix, layerOfRecord, mountPoint, recordOf, treeAt } from './layout.ts'
import { changedSize, sizeOf } from './options.ts'
import { recordNames } from './record.ts'

export class DeviceMapperDriver implements Driver {
  readonly name = 'devicemapper'
  readonly home: string
  readonly capabilities: Capabilities = {
    sharing: 'blocks',
    diff: { native: false, reason: 'snapshots are compared as trees' },
    copyUp: 'none',
    maxDepth: Number.POSITIVE_INFINITY,
    timestamps: 'nanoseconds',
    names: 'bytes',
    hardLinks: true,
    xattrs: 'all',
    deviceNodes: hasCapability('CAP_MKNOD'),
    ownership: 'any',
    quota: 'device',
    inodeQuota: false,
    mappedOwners: true,
    mountLabel: hasSelinux(),
  }
  protected readonly devices: DeviceSet
  readonly #host: DeviceMapperHost
  readonly #workers: TreeWorkers
  readonly #references = new MountReferences(isMountPoint)
  readonly #diff: DiffDriver
  readonly #views: MappedViews
  /** A device was set aside and not deleted; the next `remove` tries again. */
  #leftovers: boolean

  /**
   * @param devices with a base device
   * @param workers the driver's own; `cleanup` ends them
   * @param clean whether no device is left that is to go
   */
  constructor(devices: DeviceSet, host: DeviceMapperHost, workers: TreeWorkers, clean: boolean) {
    this.home = devices.home
    this.devices = devices
    this.#host = host
    this.#workers = workers
    this.#diff = naiveDiff(this, workers)
    this.#views = new MappedViews(this.name, this.home, mappedMounts)
    this.#leftovers = !clean
  }

  async create(id: LayerId, { parent, signal, storageOptions }: CreateOptions = {}): Promise<void> {
    const size = sizeOf(id, storageOptions)
    signal?.throwIfAborted()
    await this.devices.locked(() => makeLayer(this.devices, { id, parent, size }), signal)
  }

  createReadWrite(id: LayerId, options?: CreateOptions): Promise<void> {
    return this.create(id, options)
  }

  async remove(id: LayerId, { signal }: CallOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    await this.#views.hide(id)
    await this.#references.forget(mountPoint(this.home, id), () =>
      this.devices.locked(async () => {
        if (this.#leftovers) this.#leftovers = !(await this.devices.reap())
        if (!(await removeLayer(this.devices, id))) this.#leftovers = true
      }, signal),
    )
  }

  async get(id: LayerId, { signal, mountLabel }: GetOptions = {}): Promise<Mount> {
    signal?.throwIfAborted()
    const target = mountPoint(this.home, id)
    const label = mountLabelOf(`layer ${id}`, mountLabel, this.capabilities)
    await this.#references.acquire(target, () =>
      this.devices.locked(() => mountLayer(this.devices, id, label), signal),
    )
    return layerMount(id, treeAt(target), false, (mounted) => this.#put(mounted))
  }

  async getMapped(id: LayerId, ids: IdMap, options?: GetOptions): Promise<Mount> {
    return await this.#views.show(id, await this.get(id, options), ids)
  }

  /** @throws GD_NO_SPACE, SystemError when what was written cannot be kept; it is unmounted all the same */
  async put(id: LayerId): Promise<void> {
    await this.#views.putLeft(id)
    await this.#put(id)
  }

  async #put(id: LayerId): Promise<void> {
    const target = mountPoint(this.home, id)
    let lost: Error | undefined
    await this.#references.release(target, () =>
      this.devices.locked(async () => {
        lost = isMountPoint(target) ? flush(target) : undefined
        await unmountLayer(this.devices, id)
      }),
    )
    if (lost !== undefined) throw this.#explained(lost)
  }

  async exists(id: LayerId): Promise<boolean> {
    return readLayer(this.home, id) !== undefined
  }

  async *layers({ signal }: CallOptions = {}): AsyncGenerator<LayerId> {
    for (const name of recordNames(this.home)) {
      signal?.throwIfAborted()
      const id = layerOfRecord(name)
      if (id !== undefined && readLayer(this.home, id) !== undefined) yield id
    }
  }

  async status(): Promise<readonly StatusRow[]> {
    return this.devices.locked(async () => describePool(this.devices, this.#host))
  }

  async metadata(id: LayerId): Promise<Readonly<Record<string, string>>> {
    const { device_id: device, size } = findLayer(this.home, id)
    return {
      DeviceId: String(device),
      DeviceSize: String(size),
      DeviceName: deviceName(devicePrefix(this.home), recordOf(id)),
    }
  }

  /** Of any layer, mounted or not; a device only grows. */
  async setQuota(id: LayerId, quota: Quota): Promise<void> {
    findLayer(this.home, id)
    const size = changedSize(id, quota)
    if (size !== undefined) await this.devices.locked(() => resizeLayer(this.devices, id, size))
  }

  /** What is in its filesystem, its parent's files included: its device has to have room for all of it. */
  async usage(id: LayerId): Promise<Usage> {
    await using layer = await this.get(id)
    const { blocks, blocksFree, blockSize } = statfs(layer.path)
    return { bytes: Number(blocks - blocksFree) * blockSize }
  }

  diff(id: LayerId, parent: LayerId | undefined, options?: CallOptions): TarStream {
    return this.#diff.diff(id, parent, options)
  }

  changes(id: LayerId, parent: LayerId | undefined, options?: CallOptions): Promise<readonly Change[]> {
    return this.#diff.changes(id, parent, options)
  }

  async applyDiff(
    id: LayerId,
    parent: LayerId | undefined,
    tar: TarStream,
    options?: CallOptions,
  ): Promise<number> {
    const layer = await this.get(id, options)
    let size: number
    try {
      size = await this.#diff.applyDiff(id, parent, tar, options)
      const lost = flush(layer.path)
      if (lost !== undefined) throw lost
    } catch (error) {
      // What failed first says more.
      await Promise.allSettled([layer[Symbol.asyncDispose]()])
      throw this.#explained(error)
    }
    await layer[Symbol.asyncDispose]()
    return size
  }

  diffSize(id: LayerId, parent: LayerId | undefined, options?: CallOptions): Promise<number> {
    return this.#diff.diffSize(id, parent, options)
  }

  /** Layers that are mounted stay mounted: they belong to whoever got them, in this process or another. */
  async cleanup(): Promise<void> {
    await this.#workers[Symbol.asyncDispose]()
    await this.devices.locked(async () => {
      if (this.#leftovers) this.#leftovers = !(await this.devices.reap())
      await this.devices.stop()
    })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.cleanup()
  }

  /** A pool that is full fails a write however late; where it is, that is what went wrong. */
  #explained<T>(error: T): T | GraphDriverError {
    if (!isSystemError(error, 'ENOSPC', 'EIO')) return error
    const status = this.devices.pool.ensure()
    if (status.mode === 'out-of-data-space') return this.devices.pool.noSpace('data', status)
    return status.mode === 'read-only' ? this.devices.pool.noSpace('metadata', status) : error
  }
}

/** What a pool cannot take any more is said here, and not after the layer was called good. @returns why it cannot */
function flush(directory: string): Error | undefined {
  try {
    syncFilesystem(directory)
    return undefined
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}
