/** Removes names confined to an open directory: links are removed, never followed. */
import {
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  DT,
  isSystemError,
  type Path,
  readDirectory,
  statx,
  unlinkat,
} from '@graphdriver/sys'
import { closeSync } from 'node:fs'
import type { Directory } from './directory.ts'
import type { DirectoryTree } from './directory-tree.ts'
import { pathBytes } from './entry-path.ts'
import { openBeneath } from './open-beneath.ts'

export interface Removed {
  readonly existed: boolean
  /** Of what this tar had put there: the bytes that are gone with their last link. */
  readonly bytes: number
}

const nothing: Removed = { existed: false, bytes: 0 }

/** Removes `name` whatever it is; a directory with all that is in it. */
export function removeName(tree: DirectoryTree, parent: Directory, name: string): Removed {
  const directory = tree.child(parent, name)
  if (directory !== undefined) {
    tree.forget(directory)
    const bytes = removeDirectory(tree.fd(parent), name, directory)
    parent.touched = true
    return { existed: true, bytes }
  }
  const fd = tree.fd(parent)
  const bytes = parent.owns(name) ? lastLinkBytes(fd, pathBytes(name)) : 0
  try {
    unlinkat(fd, pathBytes(name))
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return nothing
    throw error
  }
  parent.disown(name)
  return { existed: true, bytes }
}

/** What `known` knows below is what this tar made; anything else that is found was there before. */
function removeDirectory(parent: number, name: string, known: Directory | undefined): number {
  const fd = openBeneath(parent, name)
  let bytes = 0
  try {
    for (const entry of readDirectory(fd)) {
      const inside = entry.name.toString('latin1')
      if (entry.type === DT.DIR) bytes += removeDirectory(fd, inside, known?.child(inside))
      else bytes += removeFile(fd, inside, known)
    }
  } finally {
    closeSync(fd)
  }
  unlinkat(parent, pathBytes(name), AT_REMOVEDIR)
  return bytes
}

function removeFile(parent: number, name: string, known: Directory | undefined): number {
  const bytes = known?.owns(name) === true ? lastLinkBytes(parent, pathBytes(name)) : 0
  try {
    unlinkat(parent, pathBytes(name))
  } catch (error) {
    // A filesystem that does not tell types in its listing.
    if (isSystemError(error, 'EISDIR')) return removeDirectory(parent, name, known?.child(name))
    throw error
  }
  return bytes
}

/** Bytes that go with a name: of a file that has another one, none. */
export function lastLinkBytes(parent: number, name: Path): number {
  try {
    const stat = statx(parent, name, AT_SYMLINK_NOFOLLOW)
    return stat.nlink === 1 ? stat.size : 0
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return 0
    throw error
  }
}

/**
 * What an opaque marker asks for in a merged tree: everything in a directory that this tar did not put there goes.
 * What it has put there stays, before the marker or after, as the format leaves their order open.
 */
export function removeLower(tree: DirectoryTree, directory: Directory): void {
  if (directory.fresh) return
  for (const name of listNames(tree, directory)) {
    const child = tree.child(directory, name)
    if (child !== undefined && child.contributes) removeLower(tree, child)
    else if (child !== undefined || !directory.owns(name)) removeName(tree, directory, name)
  }
}

/** A listing moves the descriptor's position, so the one that is kept is not used for it. */
export function listNames(tree: DirectoryTree, directory: Directory): readonly string[] {
  const fd = openBeneath(tree.fd(directory), '.')
  try {
    return readDirectory(fd).map((entry) => entry.name.toString('latin1'))
  } finally {
    closeSync(fd)
  }
}
