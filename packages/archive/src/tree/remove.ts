import { constants } from 'node:os'
import path from 'node:path'
import {
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  type DirectoryEntry,
  DT,
  isSystemError,
  readDirectory,
  S,
  statx,
  SystemError,
  unlinkat,
} from '@graphdriver/sys'
import { Descent } from './descent.ts'
import { withPath } from './located.ts'

interface Frame {
  readonly name: Buffer
  readonly entries: readonly DirectoryEntry[]
  next: number
}

/**
 * Is called before anything is removed or gone into, and may throw.
 *
 * @param fd the directory that has the name
 * @returns false to leave it at that
 */
export type RemovalStep = (fd: number, name: Buffer) => boolean

/** Bytes of a directory or of a file's blocks. To read or to free more takes so long that nobody should wait for it. */
const small = { directory: 16 * 1024, file: 1024 * 1024 }

/** A step for a tree that is removed in front of the caller: it ends after some names, and at what is not small. */
export function atOnce(names: number): RemovalStep {
  let left = names
  return (fd, name) => left-- > 0 && isSmall(fd, name)
}

function isSmall(fd: number, name: Buffer): boolean {
  try {
    const { mode, size, blocks } = statx(fd, name, AT_SYMLINK_NOFOLLOW)
    return (mode & S.IFMT) === S.IFDIR ? size <= small.directory : blocks * 512 <= small.file
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return true
    throw error
  }
}

/**
 * Removes a file or a whole tree without following any link in it. Success when there is nothing.
 *
 * @returns false when it was left before its end
 * @throws SystemError EBUSY for a mount point inside
 */
export function removeTree(target: string, step: RemovalStep): boolean {
  return removeEntry(path.dirname(target), Buffer.from(path.basename(target)), step)
}

/** The same of a name in a directory. */
export function removeEntry(directory: string, name: Buffer, step: RemovalStep): boolean {
  using descent = openParent(directory)
  if (descent === undefined) return true
  if (!step(descent.fd, name)) return false
  if (unlinked(descent.fd, name)) return true
  const frames: Frame[] = []
  try {
    return removeBelow(descent, frames, name, step)
  } catch (error) {
    const below = frames.map(({ entries, next }) => entries[next - 1]?.name.toString() ?? '')
    throw withPath(error, path.join(directory, name.toString()), Buffer.from(below.join('/')))
  }
}

function removeBelow(descent: Descent, frames: Frame[], name: Buffer, step: RemovalStep): boolean {
  open(descent, frames, name)
  for (let frame = frames.at(-1); frame !== undefined; frame = frames.at(-1)) {
    const entry = frame.entries[frame.next++]
    if (entry === undefined) {
      frames.pop()
      descent.leave()
      removeDirectory(descent.fd, frame.name)
      continue
    }
    if (!step(descent.fd, entry.name)) return false
    if (entry.type !== DT.DIR && unlinked(descent.fd, entry.name)) continue
    open(descent, frames, entry.name)
  }
  return true
}

function openParent(directory: string): Descent | undefined {
  try {
    return new Descent(directory, 'refuse')
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  }
}

/** Goes into a directory; one that somebody else is removing may be gone already. */
function open(descent: Descent, frames: Frame[], name: Buffer): void {
  try {
    descent.enter(name)
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return
    // What is mounted here is not this tree's, and would be emptied before the directory turns out to be busy.
    if (isSystemError(error, 'EXDEV')) {
      throw new SystemError(constants.errno.EBUSY, {
        syscall: 'openat2',
        note: 'a filesystem is mounted there',
      })
    }
    throw error
  }
  frames.push({ name, entries: readDirectory(descent.fd), next: 0 })
}

/** False for a directory. */
function unlinked(directory: number, name: Buffer): boolean {
  try {
    unlinkat(directory, name)
    return true
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return true
    if (isSystemError(error, 'EISDIR')) return false
    throw error
  }
}

function removeDirectory(directory: number, name: Buffer): void {
  try {
    unlinkat(directory, name, AT_REMOVEDIR)
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error
  }
}
