/**
 * How overlayfs is told what a directory in AUFS's format says. The directory stays as it is; two small ones are
 * stacked with it. The one *over* it holds a whiteout for each marker file, which nobody shall see, and for each name
 * that a marker deletes. The one *under* it holds the directories that hide what is further below.
 *
 * A merged directory has the attributes of the topmost one, so those in `over` have what the layer's own have.
 */
import {
  AT_EMPTY_PATH,
  type DirectoryEntry,
  fsetxattr,
  isSystemError,
  mknodat,
  S,
  statx,
} from '@graphdriver/sys'
import { copyAttributes } from '../tree/copy-attributes.ts'
import { ParentDirectories } from '../tree/parent-directories.ts'
import { xattrPath } from '../tree/portable-xattrs.ts'
import { GrowingTree } from './growing-tree.ts'
import { aufsName } from './names.ts'
import { walkDirectories } from './walk-directories.ts'

export interface ShadeRequest {
  /** A layer's own directory, in AUFS's format. */
  readonly tree: string
  /** Existing, empty directories. */
  readonly over: string
  readonly under: string
  /** The namespace of overlayfs' attributes. */
  readonly xattr: 'trusted' | 'user'
}

/** What came of it. */
export interface Shade {
  /** Something is in `over`, and in `under`. */
  readonly over: boolean
  readonly under: boolean
  /** The root is opaque, which overlayfs has no word for: no layer below may be in the stack. */
  readonly opaque: boolean
}

const yes = Buffer.from('y')
const dot = Buffer.from('.')
const root = Buffer.alloc(0)

export function shadeTree({ tree, over, under, xattr }: ShadeRequest, check: () => void): Shade {
  using above = new GrowingTree(over)
  using below = new GrowingTree(under)
  const result = { over: false, under: false, opaque: false }
  walkDirectories(
    tree,
    ({ path, entries }) => {
      const { hidden, opaque } = readMarkers(entries)
      if (hidden.length === 0) return
      result.over = true
      const fd = above.directory(path)
      for (const name of hidden) makeWhiteout(fd, name)
      if (!opaque) return
      if (path.length === 0) result.opaque = true
      else {
        result.under = true
        fsetxattr(below.directory(path), `${xattr}.overlay.opaque`, yes)
      }
    },
    check,
  )
  using layer = new ParentDirectories(tree)
  // What is made in a directory moves its times, so those above come last.
  for (const path of [root, ...above.made].toReversed()) {
    const source = layer.directory(path)
    if (source === undefined) continue
    copyAttributes(above.directory(path), xattrPath(source, dot), statx(source, '', AT_EMPTY_PATH), undefined)
  }
  return result
}

interface Markers {
  /** Every name that shall not be seen: the markers themselves, and what they delete. */
  readonly hidden: readonly Buffer[]
  readonly opaque: boolean
}

function readMarkers(entries: readonly DirectoryEntry[]): Markers {
  const hidden: Buffer[] = []
  let opaque = false
  for (const { name } of entries) {
    const meaning = aufsName(name)
    if (meaning.kind === 'plain') continue
    hidden.push(name)
    if (meaning.kind === 'whiteout') hidden.push(meaning.target)
    opaque ||= meaning.kind === 'opaque'
  }
  return { hidden, opaque }
}

/** One that is there already is as good: a marker may be another's target. */
export function makeWhiteout(directory: number, name: Buffer): void {
  try {
    mknodat(directory, name, S.IFCHR, 0n)
  } catch (error) {
    if (!isSystemError(error, 'EEXIST')) throw error
  }
}
