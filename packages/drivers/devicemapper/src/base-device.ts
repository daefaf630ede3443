/** The base device: an empty filesystem, of which every base layer is a snapshot. */
import { GraphDriverError } from '@graphdriver/core'
import { unmountAndRemove } from '@graphdriver/sys'
import { identifyFilesystem } from '@graphdriver/sys/devicemapper'
import type { DeviceSet } from './device-set.ts'
import { defaultFilesystem, growFilesystem, makeFilesystem, mountDevice } from './filesystem.ts'
import { base, mountsDirectory } from './layout.ts'
import { defaultBaseSize } from './options.ts'
import {
  type DeviceRecord,
  readDevice,
  readDeviceSet,
  readTransaction,
  writeDevice,
  writeDeviceSet,
} from './record.ts'
import path from 'node:path'

/**
 * Sees to it that there is one, and that it is the one that the layers were made of. Under the lock.
 *
 * It stays active: the kernel has some caches for all thin devices together, and taking them down with the last of these
 * takes it as long as ten of anything else that is done for a layer.
 *
 * @throws GD_POOL_UNUSABLE for another's pool; GD_INVALID_OPTION for a size that is less than it has
 */
export async function ensureBaseDevice(devices: DeviceSet): Promise<void> {
  const record = readDevice(devices.home, base)
  if (record?.initialized === true && !record.deleted) {
    await verify(devices, record)
    await growTo(devices, record)
    return
  }
  // A process died while it made the filesystem.
  if (record !== undefined) await devices.delete(base)
  else demandFreshPool(devices)
  await make(devices)
}

async function make(devices: DeviceSet): Promise<void> {
  const { home, options } = devices
  const type = options.filesystem ?? defaultFilesystem()
  const record = await devices.create(base, options.baseSize ?? defaultBaseSize)
  const node = devices.active.activate(base, record)
  try {
    await makeFilesystem(type, node, options.mkfsArguments)
    const uuid = identifyFilesystem(node)?.uuid ?? ''
    await writeDeviceSet(home, {
      next_device_id: record.device_id,
      BaseDeviceUUID: uuid,
      BaseDeviceFilesystem: type,
    })
    await writeDevice(home, base, { ...record, initialized: true })
  } catch (error) {
    await devices.active.deactivate(base)
    throw error
  }
}

/** A pool that has something, and that this home has never done anything in, is somebody else's. */
function demandFreshPool(devices: DeviceSet): void {
  const { pool, home } = devices
  const { transaction, data } = pool.ensure()
  if (readTransaction(home) !== undefined || (transaction === 0 && data.used === 0)) return
  throw new GraphDriverError(
    'GD_POOL_UNUSABLE',
    `devicemapper: pool ${pool.name} is in use (${data.used} blocks, transaction ${transaction}), and nothing in ${home} ` +
      'is in it: give a pool of its own, or bring back the metadata of the one that was here',
    { pool: pool.name, reason: 'foreign' },
  )
}

async function verify(devices: DeviceSet, record: DeviceRecord): Promise<void> {
  const { home, pool } = devices
  const known = readDeviceSet(home)
  const found = identifyFilesystem(devices.active.activate(base, record))
  const uuid = found?.uuid ?? 'none'
  if (known.BaseDeviceUUID !== '' && known.BaseDeviceUUID.toLowerCase() !== uuid)
    throw new GraphDriverError(
      'GD_POOL_UNUSABLE',
      `devicemapper: the base device in pool ${pool.name} has the UUID ${uuid}, and ${home} was made with ` +
        `${known.BaseDeviceUUID}: this is another pool than before; name the right one (dm.thinpooldev, dm.datadev)`,
      { pool: pool.name, reason: 'foreign' },
    )
  if (known.BaseDeviceUUID !== '' && known.BaseDeviceFilesystem !== '') return
  await writeDeviceSet(home, { ...known, BaseDeviceUUID: uuid, BaseDeviceFilesystem: found?.type ?? '' })
}

async function growTo(devices: DeviceSet, record: DeviceRecord): Promise<void> {
  const { baseSize } = devices.options
  if (baseSize === undefined || baseSize === record.size) return
  if (baseSize < record.size)
    throw new GraphDriverError(
      'GD_INVALID_OPTION',
      `devicemapper: option dm.basesize: the base device has ${record.size} bytes already, and only grows`,
      { option: 'basesize', value: String(baseSize) },
    )
  const grown = await devices.resize(base, record, baseSize)
  const target = path.join(mountsDirectory(devices.home), 'base:growing')
  const type = mountDevice({ node: devices.active.activate(base, grown), target }, devices.options)
  try {
    growFilesystem(type, target, baseSize)
  } finally {
    unmountAndRemove(target)
  }
}
