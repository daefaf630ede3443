import { mkdirSync, realpathSync } from 'node:fs'
import path from 'node:path'
import { TreeWorkers } from '@graphdriver/archive'
import { type Driver, type DriverHost, GraphDriverError } from '@graphdriver/core'
import { LayerQuota, reapVolumes } from '@graphdriver/quota'
import { ensureDirectory, keepsOrder } from '@graphdriver/sys'
import { reapLayers } from './construction.ts'
import { Overlay2Driver } from './driver.ts'
import { examineHost } from './host.ts'
import { countedOf, linksDirectory, volumeOf } from './layout.ts'
import type { Overlay2Options } from './options.ts'
import { Overlay2Reader } from './reader.ts'

/** @throws GD_DRIVER_UNSUPPORTED */
export async function openOverlay2(place: DriverHost<Overlay2Options>): Promise<Driver> {
  const { readOnly = false } = place
  const host = await examineHost(place.home, place.options, readOnly)
  if (!host.supported) {
    throw new GraphDriverError(
      'GD_DRIVER_UNSUPPORTED',
      `overlay2 cannot serve ${place.home}: ${host.reason}; ${host.hint}`,
      { driver: 'overlay2', reason: host.code, hint: host.hint },
    )
  }
  if (!readOnly) prepareHome(place.home)
  // The mount table knows no symlinks, so neither do the paths that are looked up in it.
  const home = realpathSync(place.home)
  const workers = new TreeWorkers()
  try {
    const limits = new LayerQuota(home, {
      ...place.options,
      driver: 'overlay2',
      privileged: false,
      volumeOf,
      countedOf,
      readOnly,
    })
    const tools = { workers, limits, keepsOrder: keepsOrder(home) }
    if (readOnly) return new Overlay2Reader(home, host, tools)
    await reapLayers(home, tools)
    await reapVolumes(home, (target) => volumeOf(path.dirname(target)))
    return new Overlay2Driver(home, host, tools)
  } catch (error) {
    await workers[Symbol.asyncDispose]()
    throw error
  }
}

/** Modes are Docker's, and put right where an older version made them wider. */
function prepareHome(home: string): void {
  mkdirSync(path.dirname(home), { recursive: true, mode: 0o711 })
  ensureDirectory(home, 0o710)
  ensureDirectory(linksDirectory(home), 0o700)
}
