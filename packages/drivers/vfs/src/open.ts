import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { TreeWorkers } from '@graphdriver/archive'
import { type Driver, type DriverHost, GraphDriverError } from '@graphdriver/core'
import { ensureDirectory, nearestDirectory, reapProbes } from '@graphdriver/sys'
import { reapLayers } from './construction.ts'
import { VfsDriver } from './driver.ts'
import { layersDirectory } from './layout.ts'
import type { VfsOptions } from './options.ts'
import { discardProbe, examineHost } from './host.ts'

/** @throws GD_DRIVER_UNSUPPORTED */
export async function openVfs({ home }: DriverHost<VfsOptions>): Promise<Driver> {
  reapProbes(home, discardProbe)
  const host = examineHost(nearestDirectory(home))
  if (!host.supported) {
    throw new GraphDriverError(
      'GD_DRIVER_UNSUPPORTED',
      `vfs cannot serve ${home}: ${host.reason}; ${host.hint}`,
      { driver: 'vfs', reason: host.code, hint: host.hint },
    )
  }
  mkdirSync(path.dirname(home), { recursive: true, mode: 0o711 })
  // Modes are Docker's, and put right where an older version made them wider.
  ensureDirectory(home, 0o710)
  ensureDirectory(layersDirectory(home), 0o710)
  const workers = new TreeWorkers()
  try {
    await reapLayers(home, workers)
    return new VfsDriver(home, host, workers)
  } catch (error) {
    await workers[Symbol.asyncDispose]()
    throw error
  }
}
