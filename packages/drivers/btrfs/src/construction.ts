/**
 * Making and deleting layers. The filesystem does either in one transaction, so there is never half a layer; only what
 * Docker keeps beside it may be missing.
 */
import { chmodSync, closeSync } from 'node:fs'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { TreeWorkers } from '@graphdriver/archive'
import { type CallOptions, GraphDriverError, type LayerId } from '@graphdriver/core'
import {
  AT_FDCWD,
  isSystemError,
  moveToScratch,
  O,
  openat,
  reapScratch,
  type Scratch,
  statfs,
  unmountTree,
} from '@graphdriver/sys'
import {
  commit,
  createSubvolume,
  destroyQgroup,
  destroySubvolume,
  firstInode,
  isSubvolume,
  limitExclusive,
  referencesOf,
  snapshotSubvolume,
  subvolumeInfo,
  subvolumeRemains,
  subvolumesIn,
} from '@graphdriver/sys/btrfs'
import { findLayer, layerDirectory, layerExists, layersDirectory } from './layout.ts'

/** @throws GD_LAYER_NOT_FOUND (the parent), GD_LAYER_EXISTS, GD_STORE_CORRUPT for a parent that is no subvolume */
export function makeLayer(home: string, id: LayerId, parent: LayerId | undefined): void {
  try {
    if (parent !== undefined) snapshotSubvolume(parentDirectory(home, parent), layersDirectory(home), id)
    else {
      createSubvolume(layersDirectory(home), id)
      // The umask does not apply to it.
      chmodSync(layerDirectory(home, id), 0o755)
    }
  } catch (error) {
    if (isSystemError(error, 'EEXIST') || layerExists(home, id)) throw alreadyThere(id)
    throw error
  }
}

function parentDirectory(home: string, parent: LayerId): string {
  const directory = findLayer(home, parent)
  if (isSubvolume(directory)) return directory
  throw new GraphDriverError(
    'GD_STORE_CORRUPT',
    `btrfs: layer ${parent} is a plain directory, as after a restoration by file copy: copy what is in it into a new ` +
      `subvolume ('btrfs subvolume create', 'cp -a --reflink') of its name`,
    { path: directory },
  )
}

function alreadyThere(id: LayerId): GraphDriverError<'GD_LAYER_EXISTS'> {
  return new GraphDriverError('GD_LAYER_EXISTS', `btrfs already holds a layer ${id}`, { id })
}

/** Takes a layer out of sight at once. @returns what is left for `discardLayer`, if anything */
export function hideLayer(home: string, id: LayerId): Scratch | undefined {
  return moveToScratch(layerDirectory(home, id), 'layer')
}

/** Unmounts all that is mounted in a hidden layer, then deletes it. Repeating it after a failure is safe. */
export async function discardLayer(
  hidden: Scratch,
  workers: TreeWorkers,
  options?: CallOptions,
): Promise<void> {
  using held = hidden
  unmountTree(held.path)
  // A plain directory, or what may not be deleted as a subvolume.
  if (!isSubvolume(held.path)) return workers.remove(held.path, options)
  const id = removeSubvolume(held.path)
  // Whoever has it open keeps its space.
  held[Symbol.dispose]()
  await awaitSpace(path.dirname(held.path), id, options)
}

/** Where less than this is free, in bytes, somebody may be waiting for it. */
const plenty = 1024 ** 3
const patience = 10_000

/**
 * btrfs gives the space of a subvolume back in the background, some time after the transaction that deleted it. Where there
 * is little left, removing is not done before: who removes layers to make room shall have it.
 */
async function awaitSpace(directory: string, id: bigint, { signal }: CallOptions = {}): Promise<void> {
  const { blockSize, blocksAvailable } = statfs(directory)
  if (blocksAvailable * BigInt(blockSize) > plenty) return
  const fd = openat(AT_FDCWD, directory, O.RDONLY | O.DIRECTORY)
  try {
    commit(fd)
    for (let waited = 0; waited < patience && subvolumeRemains(fd, id); waited += 10)
      await setTimeout(10, undefined, { signal })
    // What was freed in one transaction can be used in the next.
    commit(fd)
  } catch (error) {
    if (!isSystemError(error, 'EPERM')) throw error
  } finally {
    closeSync(fd)
  }
}

/** Deletes what processes left that died while deleting layers. @returns whether nothing is left */
export function reapLayers(home: string, workers: TreeWorkers): Promise<boolean> {
  return reapScratch(layersDirectory(home), 'layer', (abandoned) => discardLayer(abandoned, workers))
}

/** Deletes a subvolume, those first that somebody made in it: containers may have containers. @returns its number */
function removeSubvolume(directory: string): bigint {
  const fd = openat(AT_FDCWD, directory, O.RDONLY | O.DIRECTORY | O.NOFOLLOW)
  let id: bigint
  try {
    id = subvolumeInfo(fd).id
    for (const nested of nestedIn(fd, id)) removeSubvolume(path.join(directory, nested))
    // Its group would outlive it. The group's own rights are root's.
    forgetQgroup(fd, id)
  } finally {
    closeSync(fd)
  }
  destroySubvolume(path.dirname(directory), path.basename(directory))
  return id
}

function forgetQgroup(fd: number, id: bigint): void {
  try {
    destroyQgroup(fd, id)
  } catch (error) {
    // A full one has no room for its own end.
    if (isSystemError(error, 'EDQUOT')) {
      limitExclusive(fd, undefined)
      forgetQgroup(fd, id)
    }
    // Busy, since what it counts is still there: newer kernels take it away with the subvolume.
    else if (!isSystemError(error, 'EPERM', 'EBUSY')) throw error
  }
}

/** Paths of the subvolumes directly in one. Without the right to ask there are none to be told. */
function nestedIn(fd: number, id: bigint): readonly string[] {
  try {
    return subvolumesIn(fd, id).map(({ parent, name }) => path.join(pathOf(fd, parent), name.toString()))
  } catch (error) {
    if (isSystemError(error, 'EPERM')) return []
    throw error
  }
}

/** Of a directory, from the root of its subvolume. */
function pathOf(fd: number, inode: bigint): string {
  if (inode === firstInode) return ''
  const [reference] = referencesOf(fd, inode)
  if (reference === undefined) return ''
  return path.join(pathOf(fd, reference.parent), reference.name.toString())
}
