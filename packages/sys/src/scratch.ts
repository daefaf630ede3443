/**
 * Directories that are being filled or emptied, and that nobody may take for anything else meanwhile.
 *
 * Each is locked (flock(2)) for as long as its owner works on it. The kernel drops the lock when the owner dies,
 * however it dies and in whichever pid namespace, so an unlocked one is garbage and anybody may reap it. Names are
 * `.graphdriver-<purpose>-<random>`.
 */
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  existsSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
} from 'node:fs'
import path from 'node:path'
import { O } from './abi.ts'
import { AT_FDCWD, DT, RENAME } from './constants.ts'
import { readDirectory } from './directory.ts'
import { isSystemError } from './error.ts'
import { flock } from './file.ts'
import { unmountTree } from './mount.ts'
import type { Path } from './libc.ts'
import { openat } from './open.ts'
import { lstatx } from './stat.ts'
import { renameat2, unlinkat } from './tree.ts'

/** A directory under lock. Disposing it drops the lock; whoever holds it also removes or renames it. */
export interface Scratch extends Disposable {
  readonly path: string
}

const attempts = 16

/** Makes a locked directory in `parent`; the umask does not apply to `mode`. */
export function makeScratch(parent: string, purpose: string, mode: number): Scratch {
  for (let attempt = 1; ; attempt++) {
    const directory = freshName(parent, purpose)
    mkdirSync(directory, { mode })
    const made = lock(directory)
    if (made !== undefined) {
      chmodSync(directory, mode)
      return made
    }
    // Between the two calls a reaper took it for garbage.
    if (attempt === attempts) throw new Error(`${directory}: other processes keep removing it`)
  }
}

/**
 * Gives a directory, which is whole now, the name that it is to have. Of two that want one name at once, in whatever
 * processes, exactly one succeeds.
 *
 * @returns false when the name is taken
 */
export function takeName(made: string, target: string): boolean {
  try {
    renameat2(AT_FDCWD, made, AT_FDCWD, target, RENAME.NOREPLACE)
    return true
  } catch (error) {
    if (isSystemError(error, 'EEXIST', 'ENOTEMPTY')) return false
    // NFS and some FUSE filesystems cannot rename so; there two processes are not told apart.
    if (!isSystemError(error, 'EINVAL', 'ENOSYS')) throw error
  }
  if (existsSync(target)) return false
  renameSync(made, target)
  return true
}

/**
 * Renames a directory that is to be deleted to a scratch name beside it, so that it is gone from its place at once.
 *
 * @returns `undefined` when there was none, or when a reaper was faster and deletes it
 */
export function moveToScratch(directory: string, purpose: string): Scratch | undefined {
  const target = freshName(path.dirname(directory), purpose)
  try {
    renameDying(directory, target)
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  }
  return lock(target)
}

/**
 * A full btrfs has no space for a rename, but keeps some in reserve for deleting files. What is to go anyway gives up
 * files until there is space; otherwise nobody could make any.
 */
function renameDying(directory: string, target: string): void {
  if (renames(directory, target)) return
  // Nothing may be deleted through a mount: what is mounted there is somebody else's.
  unmountTree(directory)
  const gone = deleteUntil(openDirectory(AT_FDCWD, directory), () => renames(directory, target))
  if (!gone) renameSync(directory, target)
}

/** @returns false when there is no space for it */
function renames(directory: string, target: string): boolean {
  try {
    renameSync(directory, target)
    return true
  } catch (error) {
    if (isSystemError(error, 'ENOSPC', 'EDQUOT')) return false
    throw error
  }
}

function openDirectory(dirfd: number, name: Path): number {
  return openat(dirfd, name, O.RDONLY | O.DIRECTORY | O.NOFOLLOW)
}

/**
 * Deletes files, the deepest first, since what a driver keeps about a layer lies at the top. By descriptors: a process
 * that still has a directory of the layer open must not lead this elsewhere with a symlink.
 *
 * @param fd an open directory, which is closed
 * @returns whether `enough` said so
 */
function deleteUntil(fd: number, enough: () => boolean): boolean {
  try {
    const entries = readDirectory(fd)
    for (const { name, type } of entries) {
      if (type === DT.DIR && deleteUntil(openDirectory(fd, name), enough)) return true
    }
    return entries.some(({ name, type }) => {
      if (type === DT.DIR) return false
      unlinkat(fd, name)
      return enough()
    })
  } finally {
    closeSync(fd)
  }
}

/**
 * The scratch directories in `parent` whose owners are dead, each under the caller's lock for its turn.
 *
 * @param owner where everybody can write, only what this user made is believed to be one
 */
export function* abandonedScratch(parent: string, purpose: string, owner?: number): Generator<Scratch> {
  for (const name of namesIn(parent)) {
    if (!name.startsWith(prefixOf(purpose))) continue
    const directory = path.join(parent, name)
    if (owner !== undefined && ownerOf(directory) !== owner) continue
    using abandoned = lock(directory)
    if (abandoned !== undefined) yield abandoned
  }
}

/**
 * Discards every abandoned scratch directory of a purpose. One that cannot be discarded (it holds a file made
 * immutable, say) must not stand in the way of all others: it is left for the next time.
 *
 * @returns whether nothing is left
 */
export async function reapScratch(
  parent: string,
  purpose: string,
  discard: (abandoned: Scratch) => Promise<void>,
): Promise<boolean> {
  let clean = true
  for (const abandoned of abandonedScratch(parent, purpose)) {
    try {
      await discard(abandoned)
    } catch {
      clean = false
    }
  }
  return clean
}

function ownerOf(directory: string): number | undefined {
  return lstatSync(directory, { throwIfNoEntry: false })?.uid
}

function prefixOf(purpose: string): string {
  return `.graphdriver-${purpose}-`
}

function freshName(parent: string, purpose: string): string {
  return path.join(parent, `${prefixOf(purpose)}${randomBytes(8).toString('hex')}`)
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'EACCES')) return []
    throw error
  }
}

/** `undefined` when somebody else holds it, or when it is no longer what the path names. */
function lock(directory: string): Scratch | undefined {
  let fd: number
  try {
    fd = openat(AT_FDCWD, directory, O.RDONLY | O.DIRECTORY | O.NOFOLLOW)
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES')) return undefined
    throw error
  }
  let held = false
  const release = (): void => {
    if (held) closeSync(fd)
    held = false
  }
  try {
    held = flock(fd, 'exclusive', { nonblocking: true }) && isStill(directory, fd)
  } finally {
    if (!held) closeSync(fd)
  }
  return held ? { path: directory, [Symbol.dispose]: release } : undefined
}

function isStill(directory: string, fd: number): boolean {
  try {
    return lstatx(directory).ino === fstatSync(fd, { bigint: true }).ino
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return false
    throw error
  }
}
