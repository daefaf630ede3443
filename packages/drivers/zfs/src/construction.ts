/** Making and deleting layers: each is one command of ZFS, which is done or not. */
import { randomBytes } from 'node:crypto'
import { rmdirSync } from 'node:fs'
import { GraphDriverError, type LayerId } from '@graphdriver/core'
import { isSystemError, unmountTree } from '@graphdriver/sys'
import { childrenOf, isZfsError, snapshotsBelow, zfs } from './command.ts'
import { checkName, datasetOf, layerNotFound, mountPoint, removedPrefix } from './layout.ts'

export interface Construction {
  readonly filesystem: string
  readonly id: LayerId
  readonly parent: LayerId | undefined
  /** What it may write, in bytes. */
  readonly size: number | undefined
}

/** @throws GD_LAYER_NOT_FOUND (the parent), GD_LAYER_EXISTS, GD_INVALID_ID */
export async function makeLayer({ filesystem, id, parent, size }: Construction): Promise<void> {
  checkName(filesystem, id)
  const dataset = datasetOf(filesystem, id)
  // Otherwise ZFS would mount it, wherever its parent is mounted.
  const properties = ['-o', 'mountpoint=legacy', ...(size === undefined ? [] : ['-o', `quota=${size}`])]
  try {
    if (parent === undefined) await zfs('create', ...properties, dataset)
    else await clone(filesystem, parent, properties, dataset)
  } catch (error) {
    if (isZfsError(error, 'exists')) throw alreadyThere(id)
    throw error
  }
}

async function clone(
  filesystem: string,
  parent: LayerId,
  properties: readonly string[],
  dataset: string,
): Promise<void> {
  const snapshot = `${datasetOf(filesystem, parent)}@${ownSnapshot()}`
  try {
    await zfs('snapshot', snapshot)
  } catch (error) {
    if (isZfsError(error, 'missing', 'name')) throw layerNotFound(parent)
    throw error
  }
  try {
    await zfs('clone', ...properties, snapshot, dataset)
  } finally {
    await letGo(snapshot)
  }
}

const snapshotPrefix = 'graphdriver-'

function ownSnapshot(): string {
  return `${snapshotPrefix}${randomBytes(8).toString('hex')}`
}

/** From now on the snapshot goes with the last of its clones; at once when it has none. */
async function letGo(snapshot: string): Promise<void> {
  try {
    await zfs('destroy', '-d', snapshot)
  } catch (error) {
    if (!isZfsError(error, 'missing')) throw error
  }
}

function alreadyThere(id: LayerId): GraphDriverError<'GD_LAYER_EXISTS'> {
  return new GraphDriverError('GD_LAYER_EXISTS', `zfs already holds a layer ${id}`, { id })
}

/** Unmounts a layer and takes it out of sight at once. @returns the dataset that is left, if anything */
export async function hideLayer(home: string, filesystem: string, id: LayerId): Promise<string | undefined> {
  const target = mountPoint(home, id)
  unmountTree(target)
  removeMountPoint(target)
  const removed = `${filesystem}/${removedPrefix}${randomBytes(8).toString('hex')}`
  try {
    await zfs('rename', datasetOf(filesystem, id), removed)
    return removed
  } catch (error) {
    if (isZfsError(error, 'missing', 'name')) return undefined
    throw error
  }
}

/** A mount point that will not go does no harm: the next mount uses it. Removing it ends copies of the mount elsewhere. */
export function removeMountPoint(target: string): void {
  try {
    rmdirSync(target)
  } catch (error) {
    if (!isSystemError(error, 'ENOENT', 'ENOTDIR', 'EBUSY', 'ENOTEMPTY')) throw error
  }
}

/**
 * Deletes a hidden dataset. Repeating it after a failure is safe.
 *
 * @returns false while somebody has a file of it open, or its snapshots have clones: then it stays for later
 */
export async function discardDataset(dataset: string): Promise<boolean> {
  try {
    await zfs('destroy', '-r', dataset)
    return true
  } catch (error) {
    if (isZfsError(error, 'missing')) return true
    if (isZfsError(error, 'busy', 'dependents')) return false
    throw error
  }
}

/** Finishes what processes left that died: deletions, and snapshots for children. @returns whether nothing is left */
export async function reapDatasets(filesystem: string): Promise<boolean> {
  for (const { name, clones } of await snapshotsBelow(filesystem)) {
    if (clones.length === 0 && isForChild(name)) await letGo(name)
  }
  let clean = true
  for (const dataset of await childrenOf(filesystem)) {
    if (!dataset.startsWith(`${filesystem}/${removedPrefix}`)) continue
    clean = (await discardDataset(dataset)) && clean
  }
  return clean
}

/** Ours, or Docker's, who calls them by a number. */
function isForChild(snapshot: string): boolean {
  return /@(?:graphdriver-[0-9a-f]{16}|\d{1,9})$/.test(snapshot)
}
