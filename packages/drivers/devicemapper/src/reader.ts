import type { TreeWorkers } from '@graphdriver/archive'
import { type CallOptions, type LayerId, layerMount, type Mount } from '@graphdriver/core'
import { DetachedMounts, isMountPoint } from '@graphdriver/sys'
import type { DeviceSet } from './device-set.ts'
import { DeviceMapperDriver } from './driver.ts'
import { openDevice } from './filesystem.ts'
import type { DeviceMapperHost } from './host.ts'
import { findLayer } from './layers.ts'
import { mountPoint, recordOf, treeAt } from './layout.ts'

/** Of who may write nothing, here or in the pool: a layer is shown where it is mounted, or where nobody else sees it. */
export class DeviceMapperReader extends DeviceMapperDriver {
  readonly #detached = new DetachedMounts()

  /** @param devices of `devicesToRead` */
  constructor(devices: DeviceSet, host: DeviceMapperHost, workers: TreeWorkers) {
    super(devices, host, workers, true)
  }

  override async get(id: LayerId, { signal }: CallOptions = {}): Promise<Mount> {
    signal?.throwIfAborted()
    const target = mountPoint(this.home, id)
    if (isMountPoint(target)) return layerMount(id, treeAt(target), true)
    const path = await this.#detached.hold(id, () => this.devices.locked(async () => this.#open(id), signal))
    return layerMount(id, treeAt(path), true, (mounted) => this.put(mounted))
  }

  override async put(id: LayerId): Promise<void> {
    if (!(await this.#detached.release(id))) return
    await this.devices.locked(async () => void (await this.devices.active.release(recordOf(id))))
  }

  override async cleanup(): Promise<void> {
    await this.#detached.releaseAll()
    await this.devices.locked(async () => this.devices.active.reap([]))
    await super.cleanup()
  }

  /** As it is on the disk. */
  #open(id: LayerId): number {
    const record = findLayer(this.home, id)
    this.devices.pool.ensure()
    const node = this.devices.active.activate(recordOf(id), record)
    return openDevice(node, this.devices.options)
  }
}
