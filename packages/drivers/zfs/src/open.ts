import { mkdirSync, realpathSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { TreeWorkers } from '@graphdriver/archive'
import { type Driver, type DriverHost, GraphDriverError } from '@graphdriver/core'
import { ensureDirectory, isSystemError, reapProbes } from '@graphdriver/sys'
import { createDataset, readProperties } from '@graphdriver/sys/zfs'
import { reapDatasets } from './construction.ts'
import { ZfsDriver } from './driver.ts'
import { datasetFor, examineHost } from './host.ts'
import { graphDirectory } from './layout.ts'
import { reapMountPoints } from './mount-point.ts'
import { inPool } from './pool.ts'
import type { ZfsOptions } from './options.ts'
import { ZfsReader } from './reader.ts'

/** @throws GD_DRIVER_UNSUPPORTED */
export async function openZfs(place: DriverHost<ZfsOptions>): Promise<Driver> {
  const { readOnly = false } = place
  if (!readOnly) reapProbes(place.root)
  const host = examineHost(place.root, place.options, readOnly)
  if (!host.supported) {
    throw new GraphDriverError(
      'GD_DRIVER_UNSUPPORTED',
      `zfs cannot serve ${place.home}: ${host.reason}; ${host.hint}`,
      { driver: 'zfs', reason: host.code, hint: host.hint },
    )
  }
  if (!readOnly) mkdirSync(path.dirname(place.home), { recursive: true, mode: 0o711 })
  const root = realpathSync(path.dirname(place.home))
  const home = path.join(root, path.basename(place.home))
  const { name, own } = datasetFor(home, host)
  // Modes are Docker's, and put right where an older version made them wider.
  if (!readOnly) ensureDirectory(home, 0o710)
  if (own && !readOnly) {
    ensureDataset(name)
    writeFileSync(path.join(home, 'dataset'), `${name}\n`, { mode: 0o600 })
  } else if (readProperties(name) === undefined) {
    throw new GraphDriverError(
      'GD_DRIVER_UNSUPPORTED',
      `zfs: there is no dataset ${name}; make it: zfs create ${name}`,
      {
        driver: 'zfs',
        reason: 'no-dataset',
        hint: `zfs create ${name}`,
      },
    )
  }
  if (!readOnly) ensureDirectory(graphDirectory(home), 0o710)
  const workers = new TreeWorkers()
  try {
    if (readOnly) return new ZfsReader(home, name, workers)
    const isClean = reapDatasets(name)
    reapMountPoints(graphDirectory(home))
    return new ZfsDriver(home, name, workers, isClean)
  } catch (error) {
    await workers[Symbol.asyncDispose]()
    throw error
  }
}

/** Nobody mounts it: only its layers are. */
function ensureDataset(name: string): void {
  try {
    inPool(name, () => createDataset(name, { mountpoint: 'none' }))
  } catch (error) {
    if (!isSystemError(error, 'EEXIST')) throw error
  }
}
