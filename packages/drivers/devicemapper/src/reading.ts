/** The devices of a home for who may write nothing, in its files and in its pool: they have names of their own. */
import { deviceState } from '@graphdriver/sys/devicemapper'
import { DeviceSet } from './device-set.ts'
import { mountDevice } from './filesystem.ts'
import { findLayer } from './layers.ts'
import { devicePrefix, recordOf } from './layout.ts'
import type { LayerId } from '@graphdriver/core'
import type { DeviceMapperOptions } from './options.ts'
import { Pool } from './pool.ts'
import { sourceToRead } from './pool-source.ts'

let opened = 0

/**
 * A pool that is there is used as it is; else one is put together that takes no writes. A thin device may be there under
 * several names, so nobody's are touched.
 */
export function devicesToRead(home: string, options: DeviceMapperOptions): DeviceSet {
  const prefix = devicePrefix(home)
  const own = `${prefix}-read-${process.pid}-${opened++}`
  const source = sourceToRead(home, options)
  const served = new Pool(prefix, source, options, 'never')
  const pool = deviceState(served.name)?.active === true ? served : new Pool(own, source, options, 'to-read')
  return new DeviceSet(home, own, pool, { ...options, deferredRemoval: false })
}

/** Mounts a layer's filesystem as it is on the disk. @throws GD_LAYER_NOT_FOUND, GD_STORE_CORRUPT, GD_POOL_UNUSABLE */
export function mountToRead(devices: DeviceSet, id: LayerId, target: string): void {
  const record = findLayer(devices.home, id)
  devices.pool.ensure()
  const node = devices.active.activate(recordOf(id), record)
  mountDevice({ node, target, readOnly: true }, devices.options)
}
