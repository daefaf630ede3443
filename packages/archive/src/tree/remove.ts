import { constants } from 'node:os'
import path from 'node:path'
import {
  AT_REMOVEDIR,
  type DirectoryEntry,
  DT,
  isSystemError,
  readDirectory,
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

/** Another number of entries has been removed. @returns false to leave it at that */
export type RemovalStep = () => boolean

/** How many entries pass between two steps. */
export const removalStep = 256

/**
 * Removes a file or a whole tree without following any link in it. Success when there is nothing.
 *
 * @param step is called now and then, and may throw
 * @returns false when it was left before its end
 * @throws SystemError EBUSY for a mount point inside
 */
export function removeTree(target: string, step: RemovalStep): boolean {
  return removeEntry(path.dirname(target), Buffer.from(path.basename(target)), step)
}

/** The same of a name in a directory. */
export function removeEntry(directory: string, name: Buffer, step: RemovalStep): boolean {
  using descent = openParent(directory)
  if (descent === undefined || unlinked(descent.fd, name)) return true
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
  let count = 0
  for (let frame = frames.at(-1); frame !== undefined; frame = frames.at(-1)) {
    const entry = frame.entries[frame.next++]
    if (entry === undefined) {
      frames.pop()
      descent.leave()
      removeDirectory(descent.fd, frame.name)
      continue
    }
    if (count++ % removalStep === 0 && !step()) return false
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
