/**
 * What may differ between a layer and its parent, told by the filesystem: every inode carries the number of the transaction
 * that changed it last, and a snapshot that of the one that made it. What has no later number is as it was in both, and
 * trees are searched by that number without looking at what is older.
 */
import { closeSync } from 'node:fs'
import { touch, type Touched, untouched } from '@graphdriver/archive'
import { AT_FDCWD, isSystemError, O, openat } from '@graphdriver/sys'
import {
  changedInodes,
  commit,
  firstInode,
  type Reference,
  referencesOf,
  subvolumeInfo,
  subvolumesIn,
} from '@graphdriver/sys/btrfs'

/**
 * Where the trees of a layer and of another, from which it was snapshotted, may differ.
 *
 * @returns undefined where the filesystem cannot tell: the layer is no snapshot of the other, other subvolumes are in one of
 *   them, or this process may not search trees
 */
export function touchedSince(layer: string, parent: string): Touched | undefined {
  const [ours, theirs] = [open(layer), open(parent)]
  try {
    const [made, from] = [subvolumeInfo(ours), subvolumeInfo(theirs)]
    if (made.parentUuid !== from.uuid) return undefined
    commitChanges(ours)
    if (subvolumesIn(ours, made.id).length > 0 || subvolumesIn(theirs, from.id).length > 0) return undefined
    const touched = untouched()
    for (const fd of [ours, theirs]) note(touched, fd, made.madeIn)
    return touched
  } catch (error) {
    // Not permitted, or not known to kernels before 4.18; or the layer is a plain directory.
    if (isSystemError(error, 'EPERM', 'ENOTTY', 'EINVAL')) return undefined
    throw error
  } finally {
    closeSync(ours)
    closeSync(theirs)
  }
}

/** A change is in the tree when its transaction has ended, or earlier; not before. */
function commitChanges(fd: number): void {
  try {
    commit(fd)
  } catch (error) {
    // Mounted read-only, it has none.
    if (!isSystemError(error, 'EROFS')) throw error
  }
}

function open(directory: string): number {
  return openat(AT_FDCWD, directory, O.RDONLY | O.DIRECTORY | O.NOFOLLOW)
}

/** Notes every path, in one of the trees, of what was changed in it. */
function note(touched: Touched, fd: number, since: bigint): void {
  const paths = new Paths(fd)
  for (const inode of changedInodes(fd, since)) {
    // As if all were directories: a file has no names in it to be listed.
    for (const names of paths.of(inode)) touch(touched, names).listed = true
  }
}

/** Paths of inodes, by their references. Directories are asked for once. */
class Paths {
  readonly #fd: number
  readonly #directories = new Map<bigint, readonly Buffer[] | undefined>([[firstInode, []]])

  constructor(fd: number) {
    this.#fd = fd
  }

  /** One path for each name. None for what is deleted, and only still open. */
  of(inode: bigint): readonly (readonly Buffer[])[] {
    if (inode === firstInode) return [[]]
    return referencesOf(this.#fd, inode).flatMap((reference) => {
      const path = this.#join(reference)
      return path === undefined ? [] : [path]
    })
  }

  #join({ parent, name }: Reference): readonly Buffer[] | undefined {
    const above = this.#directory(parent)
    return above === undefined ? undefined : [...above, name]
  }

  #directory(inode: bigint): readonly Buffer[] | undefined {
    if (this.#directories.has(inode)) return this.#directories.get(inode)
    const [reference] = referencesOf(this.#fd, inode)
    const path = reference === undefined ? undefined : this.#join(reference)
    this.#directories.set(inode, path)
    return path
  }
}
