import { mkdirSync, realpathSync } from 'node:fs'
import path from 'node:path'
import { TreeWorkers } from '@graphdriver/archive'
import { type Driver, type DriverHost, GraphDriverError } from '@graphdriver/core'
import { ensureDirectory, nearestDirectory, reapProbes } from '@graphdriver/sys'
import { reapLayers } from './construction.ts'
import { BtrfsDriver } from './driver.ts'
import { discardProbe, examineHost, quotaAt } from './host.ts'
import { layersDirectory, quotasDirectory } from './layout.ts'
import type { BtrfsOptions } from './options.ts'
import { demandQuota } from './size.ts'

/** @throws GD_DRIVER_UNSUPPORTED */
export async function openBtrfs(place: DriverHost<BtrfsOptions>): Promise<Driver> {
  reapProbes(place.home, discardProbe)
  const host = examineHost(nearestDirectory(place.home))
  if (!host.supported) {
    throw new GraphDriverError(
      'GD_DRIVER_UNSUPPORTED',
      `btrfs cannot serve ${place.home}: ${host.reason}; ${host.hint}`,
      { driver: 'btrfs', reason: host.code, hint: host.hint },
    )
  }
  mkdirSync(path.dirname(place.home), { recursive: true, mode: 0o711 })
  // Modes are Docker's, and put right where an older version made them wider.
  ensureDirectory(place.home, 0o710)
  const home = realpathSync(place.home)
  ensureDirectory(layersDirectory(home), 0o710)
  if (place.options.minSpace !== undefined) demandQuota(home, place.options)
  if (quotaAt(home) === true) ensureDirectory(quotasDirectory(home), 0o700)
  const workers = new TreeWorkers()
  try {
    await reapLayers(home, workers)
    return new BtrfsDriver(home, place.options, workers)
  } catch (error) {
    await workers[Symbol.asyncDispose]()
    throw error
  }
}
