import { mkdirSync, realpathSync } from 'node:fs'
import path from 'node:path'
import { TreeWorkers } from '@graphdriver/archive'
import { type Driver, type DriverHost, GraphDriverError } from '@graphdriver/core'
import { LayerQuota, reapVolumes, StackVolumes } from '@graphdriver/quota'
import { ensureDirectory } from '@graphdriver/sys'
import { reapLayers } from './construction.ts'
import { AufsDriver } from './driver.ts'
import { examineHost } from './host.ts'
import { KernelEngine } from './kernel/engine.ts'
import { countedOf, homePaths, layerPaths, nothing, readVolumes, volumeOf } from './layout.ts'
import type { AufsOptions } from './options.ts'
import { OverlayEngine } from './overlay-engine.ts'

/** @throws GD_DRIVER_UNSUPPORTED */
export async function openAufs(place: DriverHost<AufsOptions>): Promise<Driver> {
  const found = await examineHost(place.home, place.options)
  if (!('engine' in found)) {
    throw new GraphDriverError(
      'GD_DRIVER_UNSUPPORTED',
      `aufs cannot serve ${place.home}: ${found.reason}; ${found.hint}`,
      { driver: 'aufs', reason: found.code, hint: found.hint },
    )
  }
  mkdirSync(path.dirname(place.home), { recursive: true, mode: 0o711 })
  // Modes are Docker's, and put right where an older version made them wider.
  ensureDirectory(place.home, 0o710)
  // The mount table knows no symlinks, so neither do the paths that are looked up in it.
  const home = realpathSync(place.home)
  const { records, diffs, mounts, forms, own } = homePaths(home)
  for (const directory of [records, diffs, mounts]) ensureDirectory(directory, 0o710)
  for (const directory of [path.dirname(own), own, forms, path.join(home, nothing)])
    ensureDirectory(directory, 0o700)
  const workers = new TreeWorkers()
  try {
    const limits = new LayerQuota(home, {
      ...place.options,
      driver: 'aufs',
      // aufs writes with the capabilities of whoever writes to it.
      privileged: found.engine === 'kernel',
      volumeOf,
      countedOf,
    })
    const tools = { workers, limits }
    const volumes = new StackVolumes(
      async (id) => readVolumes(home, id),
      (id) => limits.open(layerPaths(home, id).own),
    )
    const engine =
      found.engine === 'kernel'
        ? new KernelEngine(home, found.host, workers)
        : new OverlayEngine(home, found.host, tools)
    await reapLayers(home, tools)
    await engine.settle(volumes)
    await reapVolumes(own, (target) => volumeOf(path.dirname(target)))
    return new AufsDriver(home, engine, tools, volumes)
  } catch (error) {
    await workers[Symbol.asyncDispose]()
    throw error
  }
}
