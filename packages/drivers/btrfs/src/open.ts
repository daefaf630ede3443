import { mkdirSync, realpathSync } from 'node:fs'
import path from 'node:path'
import { TreeWorkers } from '@graphdriver/archive'
import { type Driver, type DriverHost, GraphDriverError } from '@graphdriver/core'
import { ensureDirectory, nearestDirectory, reapProbes } from '@graphdriver/sys'
import { reapLayers } from './construction.ts'
import { BtrfsDriver } from './driver.ts'
import { examineHost, examineToRead, quotaAt } from './host.ts'
import { layersDirectory, quotasDirectory } from './layout.ts'
import type { BtrfsOptions } from './options.ts'
import { demandQuota } from './size.ts'

/** @throws GD_DRIVER_UNSUPPORTED */
export async function openBtrfs(place: DriverHost<BtrfsOptions>): Promise<Driver> {
  const { readOnly = false } = place
  if (!readOnly) reapProbes(place.home)
  const host = readOnly ? examineToRead(place.home) : examineHost(nearestDirectory(place.home))
  if (!host.supported) {
    throw new GraphDriverError(
      'GD_DRIVER_UNSUPPORTED',
      `btrfs cannot serve ${place.home}: ${host.reason}; ${host.hint}`,
      { driver: 'btrfs', reason: host.code, hint: host.hint },
    )
  }
  if (!readOnly) prepareHome(place)
  const home = realpathSync(place.home)
  const workers = new TreeWorkers()
  try {
    if (!readOnly) await reapLayers(home, workers)
    return new BtrfsDriver(home, place.options, workers, readOnly)
  } catch (error) {
    await workers[Symbol.asyncDispose]()
    throw error
  }
}

/** Modes are Docker's, and put right where an older version made them wider. */
function prepareHome({ home, options }: DriverHost<BtrfsOptions>): void {
  mkdirSync(path.dirname(home), { recursive: true, mode: 0o711 })
  ensureDirectory(home, 0o710)
  ensureDirectory(layersDirectory(home), 0o710)
  if (options.minSpace !== undefined) demandQuota(home, options)
  if (quotaAt(home) === true) ensureDirectory(quotasDirectory(home), 0o700)
}
