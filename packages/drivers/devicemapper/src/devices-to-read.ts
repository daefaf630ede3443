/** The devices of a home for who may write nothing, in its files and in its pool: they have names of their own. */
import { deviceState } from '@graphdriver/sys/devicemapper'
import { DeviceSet } from './device-set.ts'
import { devicePrefix } from './layout.ts'
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
