import { type DirectoryEntry, DT, type Path, readDirectory, S } from '@graphdriver/sys'
import { Descent } from '../tree/descent.ts'
import { located } from '../tree/located.ts'
import { enterIfThere, join, statIfThere } from '../tree/walk.ts'

/** A directory that a walk has come to, and what was in it when it did. */
export interface OpenDirectory {
  /** Valid during the call that passes it. */
  readonly fd: number
  /** From the root of the walk, without a leading slash. */
  readonly path: Buffer
  readonly entries: readonly DirectoryEntry[]
}

interface Frame {
  readonly path: Buffer
  readonly entries: readonly DirectoryEntry[]
  next: number
}

/**
 * Visits the directories of a tree, each before those in it. The listing alone says what is a directory, so that files
 * cost nothing. `visit` may make and remove names in the directory.
 */
export function walkDirectories(
  root: Path,
  visit: (directory: OpenDirectory) => void,
  check: () => void,
): void {
  using descent = new Descent(root)
  const open = (path: Buffer): Frame => {
    check()
    const entries = readDirectory(descent.fd)
    visit({ fd: descent.fd, path, entries })
    return { path, entries, next: 0 }
  }
  const frames = [located(root, Buffer.alloc(0), () => open(Buffer.alloc(0)))]
  for (let frame = frames.at(-1); frame !== undefined; frame = frames.at(-1)) {
    const entry = frame.entries[frame.next++]
    if (entry === undefined) {
      frames.pop()
      if (frames.length > 0) descent.leave()
      continue
    }
    if (!isDirectoryEntry(descent.fd, entry) || !enterIfThere(descent, entry.name)) continue
    const path = join(frame.path, entry.name)
    frames.push(located(root, path, () => open(path)))
  }
}

/** Where the filesystem does not tell types in its listing, the file itself does. */
export function hasType(fd: number, { name, type }: DirectoryEntry, listed: number, mode: number): boolean {
  if (type !== DT.UNKNOWN) return type === listed
  return ((statIfThere(fd, name)?.mode ?? 0) & S.IFMT) === mode
}

function isDirectoryEntry(fd: number, entry: DirectoryEntry): boolean {
  return hasType(fd, entry, DT.DIR, S.IFDIR)
}
