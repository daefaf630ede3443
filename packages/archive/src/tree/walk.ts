import {
  AT_SYMLINK_NOFOLLOW,
  type DirectoryEntry,
  isSystemError,
  type Path,
  readDirectory,
  S,
  type Stat,
  statx,
} from '@graphdriver/sys'
import { Descent } from './descent.ts'
import { located } from './located.ts'

/** Something met on a walk. */
export interface TreeEntry {
  /** Descriptor of the directory it is in; valid during the call that passes it. */
  readonly directory: number
  readonly name: Buffer
  /** From the root of the walk, without a leading slash. */
  readonly path: Buffer
  readonly stat: Stat
}

export interface TreeVisitor {
  /** @returns false to stay out of this directory */
  visit(entry: TreeEntry): boolean
  /** What names are sorted by, if not by themselves. */
  nameOf?: ((name: Buffer) => Buffer) | undefined
  /** Called after the last entry in a directory for which `visit` returned true. */
  leave?(directory: TreeEntry): void
}

interface Frame {
  readonly entries: readonly DirectoryEntry[]
  next: number
  readonly self: TreeEntry | undefined
}

const empty = Buffer.alloc(0)
const slash = Buffer.from('/')
/** How many entries pass between two looks at whether the caller gave up. */
const checkInterval = 256

/**
 * Visits all that is in a directory, each before its content, names sorted by bytes. What vanishes meanwhile is
 * passed over. `check` is called every few hundred entries and may throw.
 */
export function walkTree(root: Path, visitor: TreeVisitor, check: () => void): void {
  using descent = new Descent(root)
  const frames: Frame[] = [{ entries: sortedEntries(descent.fd, visitor.nameOf), next: 0, self: undefined }]
  let count = 0
  for (let frame = frames.at(-1); frame !== undefined; frame = frames.at(-1)) {
    const found = frame.entries[frame.next++]
    if (found === undefined) {
      frames.pop()
      if (frame.self === undefined) return
      descent.leave()
      visitor.leave?.({ ...frame.self, directory: descent.fd })
      continue
    }
    if (count++ % checkInterval === 0) check()
    const path = join(frame.self?.path ?? empty, found.name)
    const entered = located(root, path, () => visitEntry(descent, found.name, path, visitor))
    if (entered !== undefined) frames.push(entered)
  }
}

/** @returns the directory that was entered, if it was one and the visitor wanted it */
function visitEntry(descent: Descent, name: Buffer, path: Buffer, visitor: TreeVisitor): Frame | undefined {
  const stat = statIfThere(descent.fd, name)
  if (stat === undefined) return undefined
  const entry: TreeEntry = { directory: descent.fd, name, path, stat }
  if (!visitor.visit(entry) || !isDirectory(stat)) return undefined
  if (enterIfThere(descent, name))
    return { entries: sortedEntries(descent.fd, visitor.nameOf), next: 0, self: entry }
  visitor.leave?.(entry)
  return undefined
}

export function isDirectory(stat: Stat): boolean {
  return (stat.mode & S.IFMT) === S.IFDIR
}

export function join(parent: Buffer, name: Buffer): Buffer {
  return parent.length === 0 ? name : Buffer.concat([parent, slash, name])
}

/** What an open directory holds, sorted by the bytes of the names, or of what `nameOf` makes of them. */
export function sortedEntries(fd: number, nameOf: TreeVisitor['nameOf'] = (name) => name): DirectoryEntry[] {
  return readDirectory(fd).toSorted((a, b) => nameOf(a.name).compare(nameOf(b.name)))
}

/** The entry itself, not what it links to; `undefined` when it is gone. */
export function statIfThere(directory: number, name: Buffer): Stat | undefined {
  try {
    return statx(directory, name, AT_SYMLINK_NOFOLLOW)
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined
    throw error
  }
}

/** False when it is gone or no directory any more. */
export function enterIfThere(descent: Descent, name: Buffer): boolean {
  try {
    descent.enter(name)
    return true
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return false
    throw error
  }
}
