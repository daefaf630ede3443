/** What the filesystem at a place can do for copies, found by trying. */
import { closeSync, openSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { ficlone, filesystemName, isSystemError, statfs, makeScratch } from '@graphdriver/sys'

export interface CopyHost {
  readonly supported: true
  /** Docker's name of the filesystem. */
  readonly backing: string
  /** Files can share their data until one of them is written to (ioctl_ficlone(2)). */
  readonly reflink: boolean
}

export interface CopyRefusal {
  readonly supported: false
  readonly code: 'not-writable'
  readonly reason: string
  readonly hint: string
}

/** Tries `directory`, which exists. Leaves nothing behind. */
export function examineHost(directory: string): CopyHost | CopyRefusal {
  try {
    using scratch = makeScratch(directory, 'probe', 0o700)
    try {
      const backing = filesystemName(statfs(scratch.path).type)
      return { supported: true, backing, reflink: canReflink(scratch.path) }
    } finally {
      discardProbe(scratch.path)
    }
  } catch (error) {
    if (!isSystemError(error)) throw error
    const reason = `${directory} cannot be written: ${error.message}`
    const hint = 'choose another data root, or make this one writable'
    return { supported: false, code: 'not-writable', reason, hint }
  }
}

/** For who copies nothing: nothing is tried. */
export function hostToRead(home: string): CopyHost {
  return { supported: true, backing: filesystemName(statfs(home).type), reflink: false }
}

/** It is small. */
export function discardProbe(directory: string): void {
  rmSync(directory, { recursive: true, force: true })
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
