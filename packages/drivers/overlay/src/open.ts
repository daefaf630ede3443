import { mkdirSync, realpathSync } from 'node:fs'
import path from 'node:path'
import { TreeWorkers } from '@graphdriver/archive'
import { type Driver, type DriverHost, GraphDriverError } from '@graphdriver/core'
import { LayerQuota, reapVolumes } from '@graphdriver/quota'
import { ensureDirectory, nearestDirectory, reapProbes } from '@graphdriver/sys'
import { examineOverlay, examineToRead } from '@graphdriver/sys/overlayfs'
import { reapLayers } from './construction.ts'
import { OverlayDriver } from './driver.ts'
import { countedOf, volumeOf } from './layout.ts'
import type { LegacyOverlayOptions } from './options.ts'
import { OverlayReader } from './reader.ts'

/** @throws GD_DRIVER_UNSUPPORTED */
export async function openOverlay(place: DriverHost<LegacyOverlayOptions>): Promise<Driver> {
  const { readOnly = false } = place
  if (!readOnly) reapProbes(place.home)
  const host = await (readOnly ? examineToRead(place.home) : examineOverlay(nearestDirectory(place.home)))
  if (!host.supported) {
    throw new GraphDriverError(
      'GD_DRIVER_UNSUPPORTED',
      `overlay cannot serve ${place.home}: ${host.reason}; ${host.hint}`,
      { driver: 'overlay', reason: host.code, hint: host.hint },
    )
  }
  if (!readOnly) {
    mkdirSync(path.dirname(place.home), { recursive: true, mode: 0o711 })
    // Modes are Docker's, and put right where an older version made them wider.
    ensureDirectory(place.home, 0o710)
  }
  // The mount table knows no symlinks, so neither do the paths that are looked up in it.
  const home = realpathSync(place.home)
  const workers = new TreeWorkers()
  try {
    const limits = new LayerQuota(home, {
      ...place.options,
      driver: 'overlay',
      privileged: false,
      volumeOf,
      countedOf,
      readOnly,
    })
    const tools = { workers, limits }
    if (readOnly) return new OverlayReader(home, host, tools)
    await reapLayers(home, tools)
    await reapVolumes(home, (target) => volumeOf(path.dirname(target)))
    return new OverlayDriver(home, host, tools)
  } catch (error) {
    await workers[Symbol.asyncDispose]()
    throw error
  }
}
