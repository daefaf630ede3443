/** What the filesystem at a place can do for copies, found by trying. */
import { closeSync, openSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { ficlone, filesystemName, isSystemError, statfs, tryAt, type Unwritable } from '@graphdriver/sys'

export interface CopyHost {
  readonly supported: true
  /** Docker's name of the filesystem. */
  readonly backing: string
  /** Files can share their data until one of them is written to (ioctl_ficlone(2)). */
  readonly reflink: boolean
}

/** Tries `directory`, which exists. Leaves nothing behind. */
export function examineHost(directory: string): CopyHost | Unwritable {
  return tryAt<CopyHost>(
    directory,
    (scratch) => {
      const backing = filesystemName(statfs(scratch).type)
      return { supported: true, backing, reflink: canReflink(scratch) }
    },
    'choose another data root, or make this one writable',
  )
}

/** For who copies nothing: nothing is tried. */
export function hostToRead(home: string): CopyHost {
  return { supported: true, backing: filesystemName(statfs(home).type), reflink: false }
}

function canReflink(scratch: string): boolean {
  const original = path.join(scratch, 'original')
  // Some filesystems keep very small files in the inode and clone only what has blocks.
  writeFileSync(original, Buffer.alloc(64 * 1024, 1))
  const source = openSync(original, 'r')
  try {
    const copy = openSync(path.join(scratch, 'copy'), 'wx')
    try {
      ficlone(copy, source)
      return true
    } catch (error) {
      if (isSystemError(error)) return false
      throw error
    } finally {
      closeSync(copy)
    }
  } finally {
    closeSync(source)
  }
}
