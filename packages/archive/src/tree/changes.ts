/**
 * What differs between two trees, by walking both at once.
 *
 * The rules are Docker's: metadata decides, contents are never read. So a file rewritten with the same size and
 * modification time is not seen; with nanoseconds on both sides that takes intent, or two writes within one tick of
 * the kernel's clock (a few milliseconds). Directories count by mode, owner and attributes only. Beyond Docker,
 * targets of symlinks and `user.*` attributes are compared too.
 */
import {
  type DirectoryEntry,
  DT,
  isSystemError,
  type Path,
  readlinkat,
  S,
  type Stat,
  statx,
} from '@graphdriver/sys'
import { AT_EMPTY_PATH } from '@graphdriver/sys'
import { byPath, type TreeChange } from './change.ts'
import { Descent } from './descent.ts'
import type { ExtraAttributes } from './extra-attributes.ts'
import { located } from './located.ts'
import { portableXattrs, sameXattrs, xattrPath } from './portable-xattrs.ts'
import { metadataDiffers } from './metadata-difference.ts'
import type { Touched } from './touched.ts'
import { enterIfThere, isDirectory, join, sortedEntries, statIfThere } from './walk.ts'

/**
 * The changes that make `base` (nothing, if absent) into `tree`, sorted by the bytes of their paths. A directory in
 * which something changed is itself listed as modified. What vanishes meanwhile counts as never there.
 *
 * @param touched all that may differ, where what is the same in both trees has the same inode number in both
 */
export function changesBetween(
  tree: Path,
  base: Path | undefined,
  check: () => void,
  touched?: Touched,
  extra?: ExtraAttributes,
): TreeChange[] {
  using walk = new PairWalk(tree, base, check, touched, extra)
  return walk.run().toSorted(byPath)
}

/** A pair of directories of the same path; the base side is missing for one that was added. */
interface Frame {
  readonly path: Buffer
  readonly tree: readonly DirectoryEntry[]
  readonly base: readonly DirectoryEntry[]
  readonly inBase: boolean
  /** Where to look; everywhere when absent. */
  readonly touched: Touched | undefined
  /** Equal inode numbers mean the same file only on one filesystem. */
  readonly sameDevice: boolean
  treeNext: number
  baseNext: number
  /** The directory itself is in the list. */
  recorded: boolean
}

const empty = Buffer.alloc(0)
const checkInterval = 256

class PairWalk implements Disposable {
  readonly #root: Path
  readonly #tree: Descent
  readonly #base: Descent | undefined
  readonly #check: () => void
  readonly #touched: Touched | undefined
  readonly #extra: ExtraAttributes | undefined
  readonly #changes: TreeChange[] = []
  readonly #frames: Frame[] = []

  constructor(
    tree: Path,
    base: Path | undefined,
    check: () => void,
    touched: Touched | undefined,
    extra: ExtraAttributes | undefined,
  ) {
    this.#touched = touched
    this.#extra = extra
    this.#root = tree
    this.#check = check
    this.#tree = new Descent(tree)
    try {
      this.#base = base === undefined ? undefined : new Descent(base)
    } catch (error) {
      this.#tree[Symbol.dispose]()
      throw error
    }
  }

  [Symbol.dispose](): void {
    this.#tree[Symbol.dispose]()
    this.#base?.[Symbol.dispose]()
  }

  run(): TreeChange[] {
    // The root itself is never listed: a layer does not carry its attributes.
    this.#push(empty, this.#base !== undefined, true, this.#touched)
    let count = 0
    for (let frame = this.#frames.at(-1); frame !== undefined; frame = this.#frames.at(-1)) {
      if (count++ % checkInterval === 0) this.#check()
      if (!this.#next(frame)) this.#pop(frame)
    }
    return this.#changes
  }

  /** Both sides have been entered. */
  #push(path: Buffer, inBase: boolean, recorded: boolean, touched: Touched | undefined): void {
    const base = inBase ? this.#base : undefined
    const same = base !== undefined && deviceOf(this.#tree.fd) === deviceOf(base.fd)
    this.#frames.push({
      path,
      tree: entriesOf(this.#tree.fd, touched),
      base: base === undefined ? [] : entriesOf(base.fd, touched),
      inBase: base !== undefined,
      touched,
      sameDevice: same,
      treeNext: 0,
      baseNext: 0,
      recorded,
    })
  }

  #pop(frame: Frame): void {
    this.#frames.pop()
    if (this.#frames.length === 0) return
    this.#tree.leave()
    if (frame.inBase) this.#base?.leave()
  }

  /** Takes the smaller of both next names. @returns false when there is none */
  #next(frame: Frame): boolean {
    const ours = frame.tree[frame.treeNext]
    const theirs = frame.base[frame.baseNext]
    const order = compareNames(ours, theirs)
    if (order === undefined) return false
    if (order <= 0) frame.treeNext++
    if (order >= 0) frame.baseNext++
    const name = (order <= 0 ? ours : theirs)?.name ?? empty
    if (order === 0 && ours?.ino === theirs?.ino && !mayDiffer(frame, name)) return true
    const path = join(frame.path, name)
    const touched = frame.touched?.children.get(name.toString('latin1'))
    located(this.#root, path, () => this.#compare(path, name, order <= 0, order >= 0, touched))
    return true
  }

  #compare(path: Buffer, name: Buffer, inTree: boolean, inBase: boolean, touched: Touched | undefined): void {
    const ours = inTree ? statIfThere(this.#tree.fd, name) : undefined
    const theirs = inBase && this.#base !== undefined ? statIfThere(this.#base.fd, name) : undefined
    if (ours === undefined) {
      if (theirs !== undefined) this.#record({ path, kind: 'delete' })
      return
    }
    const differs = theirs === undefined || this.#differs(name, ours, theirs)
    if (differs) this.#record({ path, kind: theirs === undefined ? 'add' : 'modify' })
    if (!isDirectory(ours)) return
    // Of another directory, nothing is known of what is in it.
    const known = theirs?.ino === ours.ino ? touched : undefined
    this.#descend(path, name, theirs !== undefined && isDirectory(theirs), differs, known)
  }

  #descend(
    path: Buffer,
    name: Buffer,
    inBase: boolean,
    recorded: boolean,
    touched: Touched | undefined,
  ): void {
    if (!enterIfThere(this.#tree, name)) return
    const both = inBase && this.#base !== undefined && enterIfThere(this.#base, name)
    this.#push(path, both, recorded, touched)
  }

  /** Lists a change and, before it, every directory above that is not listed yet. */
  #record(change: TreeChange): void {
    for (const frame of this.#frames) {
      if (frame.recorded) continue
      frame.recorded = true
      this.#changes.push({ path: frame.path, kind: 'modify' })
    }
    this.#changes.push(change)
  }

  #differs(name: Buffer, ours: Stat, theirs: Stat): boolean {
    if (metadataDiffers(ours, theirs)) return true
    const base = this.#base
    if (base === undefined) return true
    if (this.#extra?.differ(xattrPath(this.#tree.fd, name), xattrPath(base.fd, name)) === true) return true
    try {
      switch (ours.mode & S.IFMT) {
        case S.IFLNK:
          return !readlinkat(this.#tree.fd, name).equals(readlinkat(base.fd, name))
        case S.IFREG:
        case S.IFDIR:
          return !sameXattrs(portableXattrs(this.#tree.fd, name), portableXattrs(base.fd, name))
        default:
          return false
      }
    } catch (error) {
      if (isSystemError(error, 'ENOENT', 'EINVAL')) return true
      throw error
    }
  }
}

/** What to look at in a directory: all that is in it, unless only some of it was touched. */
function entriesOf(fd: number, touched: Touched | undefined): readonly DirectoryEntry[] {
  if (touched === undefined || touched.listed) return sortedEntries(fd)
  return [...touched.children.keys()]
    .map((name) => ({ name: Buffer.from(name, 'latin1'), type: DT.UNKNOWN, ino: 0n }))
    .toSorted((a, b) => a.name.compare(b.name))
}

/** Whether the same inode on both sides may be another file, or not be as it was. */
function mayDiffer({ touched, sameDevice }: Frame, name: Buffer): boolean {
  return touched === undefined ? !sameDevice : touched.children.has(name.toString('latin1'))
}

function compareNames(
  ours: DirectoryEntry | undefined,
  theirs: DirectoryEntry | undefined,
): number | undefined {
  if (ours === undefined) return theirs === undefined ? undefined : 1
  return theirs === undefined ? -1 : ours.name.compare(theirs.name)
}

function deviceOf(fd: number): number {
  return statx(fd, '', AT_EMPTY_PATH).dev
}
