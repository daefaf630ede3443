import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { TreeWorkers, type TreeWorkersOptions } from '@graphdriver/archive'
import type { Capabilities, StatusRow } from '@graphdriver/core'
import { LayerQuota, type LayerQuotaOptions, reapVolumes } from '@graphdriver/quota'
import { ensureDirectory } from '@graphdriver/sys'
import { reapLayers, type Tools } from './construction.ts'
import { CopyingDriver } from './driver.ts'
import { layersDirectory, volumeOf, volumesDirectory } from './layout.ts'

export interface CopyingHome {
  readonly name: string
  /** May not exist yet, unless it is only to be read. */
  readonly home: string
  readonly quota: Pick<LayerQuotaOptions, 'byDefault' | 'means'>
  /** What copies, compares and extracts. */
  readonly workers?: TreeWorkersOptions | undefined
  readonly readOnly: boolean
  readonly status: readonly StatusRow[]
  /** @param quota by what means layers are limited here */
  capabilities(quota: LayerQuota['degree']): Capabilities
}

/** Opens a home, having made it if need be, and deletes what dead processes left half made in it. */
export async function openCopyingDriver(options: CopyingHome): Promise<CopyingDriver> {
  const { name, home, readOnly, status } = options
  if (!readOnly) prepareHome(home)
  const workers = new TreeWorkers(options.workers)
  try {
    const limits = limitsOf(options)
    const tools: Tools = { workers, limits }
    if (!readOnly) {
      await reapLayers(home, tools)
      await reapVolumes(layersDirectory(home), volumeOf)
    }
    return new CopyingDriver({ name, home, capabilities: options.capabilities(limits.degree), status }, tools)
  } catch (error) {
    await workers[Symbol.asyncDispose]()
    throw error
  }
}

function limitsOf({ name, home, quota, readOnly }: CopyingHome): LayerQuota {
  const countedOf = (directory: string): string => directory
  return new LayerQuota(home, { ...quota, driver: name, privileged: true, volumeOf, countedOf, readOnly })
}

/** Modes are Docker's, and put right where an older version made them wider. */
function prepareHome(home: string): void {
  mkdirSync(path.dirname(home), { recursive: true, mode: 0o711 })
  ensureDirectory(home, 0o710)
  ensureDirectory(layersDirectory(home), 0o710)
  ensureDirectory(volumesDirectory(home), 0o700)
}
