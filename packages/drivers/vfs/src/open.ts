import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { TreeWorkers } from '@graphdriver/archive'
import { type Driver, type DriverHost, GraphDriverError } from '@graphdriver/core'
import { LayerQuota, reapVolumes } from '@graphdriver/quota'
import { ensureDirectory, nearestDirectory, reapProbes } from '@graphdriver/sys'
import { reapLayers } from './construction.ts'
import { VfsDriver } from './driver.ts'
import { layersDirectory, volumeOf, volumesDirectory } from './layout.ts'
import type { VfsOptions } from './options.ts'
import { discardProbe, examineHost, hostToRead } from './host.ts'

/** @throws GD_DRIVER_UNSUPPORTED */
export async function openVfs({ home, options, readOnly = false }: DriverHost<VfsOptions>): Promise<Driver> {
  if (!readOnly) reapProbes(home, discardProbe)
  const host = readOnly ? hostToRead(home) : examineHost(nearestDirectory(home))
  if (!host.supported) {
    throw new GraphDriverError(
      'GD_DRIVER_UNSUPPORTED',
      `vfs cannot serve ${home}: ${host.reason}; ${host.hint}`,
      { driver: 'vfs', reason: host.code, hint: host.hint },
    )
  }
  if (!readOnly) prepareHome(home)
  const workers = new TreeWorkers()
  try {
    const countedOf = (directory: string): string => directory
    const limits = new LayerQuota(home, {
      ...options,
      driver: 'vfs',
      privileged: true,
      volumeOf,
      countedOf,
      readOnly,
    })
    const tools = { workers, limits }
    if (!readOnly) {
      await reapLayers(home, tools)
      await reapVolumes(layersDirectory(home), volumeOf)
    }
    return new VfsDriver(home, host, tools)
  } catch (error) {
    await workers[Symbol.asyncDispose]()
    throw error
  }
}

/** Modes are Docker's, and put right where an older version made them wider. */
function prepareHome(home: string): void {
  mkdirSync(path.dirname(home), { recursive: true, mode: 0o711 })
  ensureDirectory(home, 0o710)
  ensureDirectory(layersDirectory(home), 0o710)
  ensureDirectory(volumesDirectory(home), 0o700)
}
