import { chmodSync, closeSync, existsSync, fsyncSync, mkdirSync, realpathSync, statSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { O } from './abi.ts'
import { AT_FDCWD } from './constants.ts'
import { isSystemError } from './error.ts'
import { checked, libc, type Path } from './libc.ts'
import { openat } from './open.ts'

/** A name in a directory. */
export interface DirectoryEntry {
  /** Raw bytes: a name need not be UTF-8. */
  readonly name: Buffer
  /** At a mount point, that of the directory below. */
  readonly ino: bigint
  /** One of `DT`; `DT.UNKNOWN` where the filesystem does not say. */
  readonly type: number
}

const buffer = Buffer.alloc(64 * 1024)
const headerLength = 19

/**
 * Everything left to read in an open directory (getdents64(2)), in the filesystem's order, without `.` and `..`.
 * The descriptor's position moves to the end: a fresh one is needed to read again.
 */
export function readDirectory(fd: number): DirectoryEntry[] {
  const c = libc('getdents64')
  const entries: DirectoryEntry[] = []
  for (;;) {
    const length = checked(c.getdents64(fd, buffer, buffer.length), 'getdents64')
    if (length === 0) return entries
    for (let at = 0; at < length;) {
      const start = at + headerLength
      const next = at + buffer.readUInt16LE(at + 16)
      // Records are padded to 8 bytes, so that the name's NUL is among the last 8.
      let end = Math.max(start, next - 8)
      while (buffer[end] !== 0) end++
      if (!isDot(start, end)) {
        const name = Buffer.from(buffer.subarray(start, end))
        entries.push({ name, ino: buffer.readBigUInt64LE(at), type: buffer.readUInt8(at + 18) })
      }
      at = next
    }
  }
}

const dot = 0x2e

function isDot(start: number, end: number): boolean {
  const length = end - start
  return length <= 2 && buffer[start] === dot && (length === 1 || buffer[start + 1] === dot)
}

/** Makes the names in a directory durable (fsync(2) of the directory itself). */
export function fsyncDirectory(path: Path): void {
  const fd = openat(AT_FDCWD, path, O.RDONLY | O.DIRECTORY)
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** Makes a directory if it is not there, and gives it these permission bits in either case, whatever the umask. */
export function ensureDirectory(directory: string, mode: number): void {
  try {
    mkdirSync(directory, { mode })
  } catch (error) {
    if (!isSystemError(error, 'EEXIST')) throw error
  }
  if ((statSync(directory).mode & 0o777) !== mode) chmodSync(directory, mode)
}

/** What exists of a directory and those above it, nearest first, without symlinks: the mount table knows none. */
export function existingAncestors(directory: string): readonly string[] {
  const above = path.dirname(directory)
  const own = existsSync(directory) ? [realpathSync(directory)] : []
  return above === directory ? own : [...own, ...existingAncestors(above)]
}

/** Names of what is in a directory, sorted, so that the same disk gives the same order; none where there is no directory. */
export async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return (await readdir(directory)).sort()
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return []
    throw error
  }
}
