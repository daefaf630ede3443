/** What the filesystem at a place can do, found by trying. */
import { closeSync } from 'node:fs'
import {
  AT_FDCWD,
  FILESYSTEM_MAGIC,
  filesystemName,
  isSystemError,
  O,
  openat,
  statfs,
  tryAt,
  type Unwritable,
} from '@graphdriver/sys'
import { createSubvolume, destroySubvolume, quotaIsEnabled, snapshotSubvolume } from '@graphdriver/sys/btrfs'

export interface BtrfsHost {
  readonly supported: true
  /** Whether the filesystem counts what subvolumes take; undefined where this process may not ask. */
  readonly quota: boolean | undefined
}

export interface BtrfsRefusal {
  readonly supported: false
  readonly code: 'not-btrfs' | 'not-permitted'
  readonly reason: string
  readonly hint: string
}

/** Tries `directory`, which exists. Leaves nothing behind. */
export function examineHost(directory: string): BtrfsHost | BtrfsRefusal | Unwritable {
  const other = refuseOther(directory)
  if (other !== undefined) return other
  return tryAt(directory, trySubvolumes)
}

/** For who changes nothing: nothing is tried. */
export function examineToRead(home: string): BtrfsHost | BtrfsRefusal {
  return refuseOther(home) ?? { supported: true, quota: quotaAt(home) }
}

function refuseOther(directory: string): BtrfsRefusal | undefined {
  const { type } = statfs(directory)
  if (type === FILESYSTEM_MAGIC.btrfs) return undefined
  return {
    supported: false,
    code: 'not-btrfs',
    reason: `${directory} is on ${filesystemName(type)}, not on btrfs`,
    hint: 'put the data root on a btrfs, or choose another driver',
  }
}

function trySubvolumes(scratch: string): BtrfsHost | BtrfsRefusal {
  try {
    createSubvolume(scratch, 'one')
    snapshotSubvolume(`${scratch}/one`, scratch, 'two')
    for (const name of ['two', 'one']) destroySubvolume(scratch, name)
  } catch (error) {
    if (!isSystemError(error, 'EPERM', 'EACCES')) throw error
    return {
      supported: false,
      code: 'not-permitted',
      reason: `this process may not make and delete subvolumes: ${error.message}`,
      hint: 'run as root, or mount the filesystem with user_subvol_rm_allowed',
    }
  }
  return { supported: true, quota: quotaAt(scratch) }
}

/** Whether the filesystem of a directory counts what subvolumes take; undefined without the privilege to ask. */
export function quotaAt(directory: string): boolean | undefined {
  const fd = openat(AT_FDCWD, directory, O.RDONLY | O.DIRECTORY)
  try {
    return quotaIsEnabled(fd)
  } catch (error) {
    if (isSystemError(error, 'EPERM')) return undefined
    throw error
  } finally {
    closeSync(fd)
  }
}
