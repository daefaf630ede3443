/** Making and deleting layers: each is one transaction of ZFS, which is done or not. */
import { randomBytes } from 'node:crypto'
import { GraphDriverError, type LayerId } from '@graphdriver/core'
import { isSystemError, removeMountPoint, unmountTree } from '@graphdriver/sys'
import {
  cloneSnapshot,
  createDataset,
  createSnapshot,
  datasetsIn,
  destroyDataset,
  destroySnapshots,
  renameDataset,
  snapshotsOf,
  type ZfsProperties,
} from '@graphdriver/sys/zfs'
import { checkName, datasetOf, layerNotFound, mountPoint, removedPrefix } from './layout.ts'
import { makeMountPoint } from './mount-point.ts'
import { inPool, inPoolWhenFree } from './pool.ts'

export interface Construction {
  readonly home: string
  readonly filesystem: string
  readonly id: LayerId
  readonly parent: LayerId | undefined
  /** What it may write, in bytes. */
  readonly size: number | undefined
}

/** @throws GD_LAYER_NOT_FOUND (the parent), GD_LAYER_EXISTS, GD_INVALID_ID, GD_NO_SPACE, GD_POOL_UNUSABLE */
export function makeLayer({ home, filesystem, id, parent, size }: Construction): void {
  checkName(filesystem, id)
  const dataset = datasetOf(filesystem, id)
  const properties: ZfsProperties = {
    // Otherwise ZFS would mount it, wherever its parent is mounted.
    mountpoint: 'legacy',
    ...(size === undefined ? {} : { quota: BigInt(size) }),
  }
  try {
    inPoolWhenFree(filesystem, () => {
      if (parent === undefined) createDataset(dataset, properties)
      else clone(filesystem, parent, properties, dataset)
    })
  } catch (error) {
    if (isSystemError(error, 'EEXIST')) throw alreadyThere(id)
    throw error
  }
  try {
    inPoolWhenFree(filesystem, () => makeMountPoint(mountPoint(home, id)))
  } catch (error) {
    discardDataset(dataset)
    throw error
  }
}

/** Whoever opens the home lets go of snapshots, which may be before there is a clone of one. */
const attempts = 5

function clone(filesystem: string, parent: LayerId, properties: ZfsProperties, dataset: string): void {
  for (let left = attempts; ; left--) {
    const snapshot = `${datasetOf(filesystem, parent)}@${ownSnapshot()}`
    try {
      createSnapshot(snapshot)
    } catch (error) {
      if (isSystemError(error, 'ENOENT', 'EINVAL', 'ENAMETOOLONG')) throw layerNotFound(parent)
      throw error
    }
    try {
      cloneSnapshot(snapshot, dataset, properties)
      return
    } catch (error) {
      if (!isSystemError(error, 'ENOENT') || left === 0) throw error
    } finally {
      letGo(snapshot)
    }
  }
}

const snapshotPrefix = 'graphdriver-'

export function ownSnapshot(): string {
  return `${snapshotPrefix}${randomBytes(8).toString('hex')}`
}

/** From now on the snapshot goes with the last of its clones; at once when it has none. */
export function letGo(snapshot: string): void {
  destroySnapshots([snapshot], { defer: true })
}

function alreadyThere(id: LayerId): GraphDriverError<'GD_LAYER_EXISTS'> {
  return new GraphDriverError('GD_LAYER_EXISTS', `zfs already holds a layer ${id}`, { id })
}

/** Unmounts a layer and takes it out of sight at once. @returns the dataset that is left, if anything */
export function hideLayer(home: string, filesystem: string, id: LayerId): string | undefined {
  const target = mountPoint(home, id)
  unmountTree(target)
  removeMountPoint(target)
  const removed = `${filesystem}/${removedPrefix}${randomBytes(8).toString('hex')}`
  try {
    inPool(filesystem, () => renameDataset(datasetOf(filesystem, id), removed))
    return removed
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'EINVAL', 'ENAMETOOLONG')) return undefined
    throw error
  }
}

/**
 * Deletes a hidden dataset. Repeating it after a failure is safe.
 *
 * @returns false while somebody has a file of it open, or its snapshots have clones: then it stays for later
 */
export function discardDataset(dataset: string): boolean {
  try {
    inPool(dataset, () => {
      destroySnapshots(snapshotsOf(dataset))
      destroyDataset(dataset)
    })
    return true
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return true
    if (isSystemError(error, 'EBUSY', 'EEXIST')) return false
    throw error
  }
}

/** Finishes what processes left that died: deletions, and snapshots for children. @returns whether nothing is left */
export function reapDatasets(filesystem: string): boolean {
  let clean = true
  for (const dataset of datasetsIn(filesystem)) {
    for (const snapshot of snapshotsOf(dataset)) if (isForChild(snapshot)) letGo(snapshot)
    if (dataset.startsWith(`${filesystem}/${removedPrefix}`)) clean = discardDataset(dataset) && clean
  }
  return clean
}

/** Ours, or Docker's, who calls them by a number. */
function isForChild(snapshot: string): boolean {
  return /@(?:graphdriver-[0-9a-f]{16}|\d{1,9})$/.test(snapshot)
}
