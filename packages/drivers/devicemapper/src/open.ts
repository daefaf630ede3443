import { mkdirSync, realpathSync } from 'node:fs'
import path from 'node:path'
import { TreeWorkers } from '@graphdriver/archive'
import { type Driver, type DriverHost, GraphDriverError } from '@graphdriver/core'
import { ensureDirectory, reapProbes } from '@graphdriver/sys'
import { ensureBaseDevice } from './base-device.ts'
import { DeviceSet } from './device-set.ts'
import { devicesToRead } from './devices-to-read.ts'
import { DeviceMapperDriver } from './driver.ts'
import { type DeviceMapperHost, examineHost, loopWarning } from './host.ts'
import { devicePrefix, metadataDirectory, mountsDirectory } from './layout.ts'
import type { DeviceMapperOptions } from './options.ts'
import { Pool } from './pool.ts'
import { poolSource } from './pool-source.ts'
import { DeviceMapperReader } from './reader.ts'
import { reapTemporaryRecords } from './record.ts'

/** @throws GD_DRIVER_UNSUPPORTED, GD_POOL_UNUSABLE, GD_NO_SPACE, GD_INVALID_OPTION, GD_STORE_CORRUPT */
export async function openDeviceMapper(place: DriverHost<DeviceMapperOptions>): Promise<Driver> {
  const { readOnly = false } = place
  if (!readOnly) reapProbes(place.home)
  const host = examineHost(place.home, place.options, readOnly)
  if (!host.supported) {
    throw new GraphDriverError(
      'GD_DRIVER_UNSUPPORTED',
      `devicemapper cannot serve ${place.home}: ${host.reason}; ${host.hint}`,
      { driver: 'devicemapper', reason: host.code, hint: host.hint },
    )
  }
  if (readOnly) {
    const devices = devicesToRead(realpathSync(place.home), place.options)
    return new DeviceMapperReader(devices, host, new TreeWorkers())
  }
  const options = withDeferral(place.options, host)
  mkdirSync(path.dirname(place.home), { recursive: true, mode: 0o711 })
  // Modes are Docker's, and put right where an older version made them wider.
  ensureDirectory(place.home, 0o700)
  const home = realpathSync(place.home)
  ensureDirectory(metadataDirectory(home), 0o700)
  ensureDirectory(mountsDirectory(home), 0o755)
  const prefix = devicePrefix(home)
  const source = await poolSource(home, options)
  if (source.kind === 'files') process.emitWarning(loopWarning, { code: 'GRAPHDRIVER_LOOP_POOL' })
  const devices = new DeviceSet(home, prefix, new Pool(prefix, source, options), options)
  const clean = await devices.locked(() => start(devices))
  return new DeviceMapperDriver(devices, host, new TreeWorkers(), clean)
}

async function start(devices: DeviceSet): Promise<boolean> {
  const { pool, home } = devices
  try {
    pool.ensure()
    pool.grow()
    reapTemporaryRecords(home)
    // One that takes no changes any more can still be read.
    if (pool.ensure().mode === 'read-only') return true
    const clean = await devices.reap()
    await ensureBaseDevice(devices)
    return clean
  } catch (error) {
    await devices.stop()
    throw error
  }
}

function withDeferral(
  options: DeviceMapperOptions,
  { deferredRemoval, version }: DeviceMapperHost,
): DeviceMapperOptions {
  const { deferredRemoval: removal, deferredDeletion: deletion } = options
  if (!deferredRemoval && (removal === true || deletion === true)) {
    const option = removal === true ? 'use_deferred_removal' : 'use_deferred_deletion'
    throw new GraphDriverError(
      'GD_INVALID_OPTION',
      `devicemapper: option dm.${option}: the device mapper of this kernel (${version}) knows none; leave it out`,
      { option },
    )
  }
  return {
    ...options,
    deferredRemoval: removal ?? deferredRemoval,
    deferredDeletion: deletion ?? removal ?? deferredRemoval,
  }
}
