import { mkdirSync, realpathSync } from 'node:fs'
import path from 'node:path'
import { TreeWorkers } from '@graphdriver/archive'
import { type Driver, type DriverHost, GraphDriverError } from '@graphdriver/core'
import { LayerQuota, reapVolumes, StackVolumes } from '@graphdriver/quota'
import { ensureDirectory } from '@graphdriver/sys'
import { reapLayers } from './construction.ts'
import { AufsDriver } from './driver.ts'
import { examineHost, examineHostToRead } from './host.ts'
import { KernelEngine } from './kernel/engine.ts'
import { countedOf, homePaths, layerPaths, nothing, readVolumes, volumeOf } from './layout.ts'
import type { AufsOptions } from './options.ts'
import { OverlayEngine } from './overlay-engine.ts'
import { AufsReader } from './reader.ts'
import { ReadingEngine } from './reading-engine.ts'

/** @throws GD_DRIVER_UNSUPPORTED */
export async function openAufs(place: DriverHost<AufsOptions>): Promise<Driver> {
  const { readOnly = false } = place
  const found = await (readOnly ? examineHostToRead(place.home) : examineHost(place.home, place.options))
  if (!('engine' in found)) {
    throw new GraphDriverError(
      'GD_DRIVER_UNSUPPORTED',
      `aufs cannot serve ${place.home}: ${found.reason}; ${found.hint}`,
      { driver: 'aufs', reason: found.code, hint: found.hint },
    )
  }
  if (!readOnly) prepareHome(place.home)
  // The mount table knows no symlinks, so neither do the paths that are looked up in it.
  const home = realpathSync(place.home)
  const workers = new TreeWorkers()
  try {
    const limits = new LayerQuota(home, {
      ...place.options,
      driver: 'aufs',
      // aufs writes with the capabilities of whoever writes to it.
      privileged: found.engine === 'kernel',
      volumeOf,
      countedOf,
      readOnly,
    })
    const tools = { workers, limits }
    const volumes = new StackVolumes(
      async (id) => readVolumes(home, id),
      (id) => limits.open(layerPaths(home, id).own),
    )
    if (readOnly && found.engine === 'overlay') {
      return new AufsReader(home, new ReadingEngine(home, found.host, workers), tools, volumes)
    }
    const engine =
      found.engine === 'kernel'
        ? new KernelEngine(home, found.host, workers)
        : new OverlayEngine(home, found.host, tools)
    await reapLayers(home, tools)
    await engine.settle(volumes)
    await reapVolumes(homePaths(home).own, (target) => volumeOf(path.dirname(target)))
    return new AufsDriver(home, engine, tools, volumes)
  } catch (error) {
    await workers[Symbol.asyncDispose]()
    throw error
  }
}

/** Modes are Docker's, and put right where an older version made them wider. */
function prepareHome(home: string): void {
  mkdirSync(path.dirname(home), { recursive: true, mode: 0o711 })
  ensureDirectory(home, 0o710)
  const { records, diffs, mounts, forms, own } = homePaths(realpathSync(home))
  for (const directory of [records, diffs, mounts]) ensureDirectory(directory, 0o710)
  for (const directory of [path.dirname(own), own, forms, path.join(home, nothing)])
    ensureDirectory(directory, 0o700)
}
