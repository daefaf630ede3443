/**
 * Owner, extended attributes, mode and times, in this order: chown(2) clears `security.capability` and the set-id
 * bits, chmod(2) restores the bits, and everything before changes times.
 */
import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  fchmod,
  fchmodat,
  fchown,
  fchownat,
  flistxattr,
  fremovexattr,
  fsetxattr,
  futimens,
  isSystemError,
  lgetxattr,
  lsetxattr,
  O,
  openat,
  S,
  statx,
  utimensat,
} from '@graphdriver/sys'
import { closeSync } from 'node:fs'
import type { TarHeader } from '../tar/header.ts'
import { isPortable } from '../tree/portable-xattrs.ts'
import type { Times } from './directory.ts'
import { unsupportedEntry } from './entry-error.ts'
import { pathBytes } from './entry-path.ts'

/** File mode bits that chmod(2) sets; the type bits that some writers add to headers are not among them. */
export const modeBits = 0o7777

/** What an entry says of the file that it describes. */
export type FileHeader = Pick<
  TarHeader,
  'name' | 'offset' | 'uid' | 'gid' | 'mode' | 'xattrs' | 'mtimeNs' | 'atimeNs'
>

/** Whether an attribute of a header is to be stored. */
export type XattrFilter = (name: string) => boolean

/**
 * Takes from an open directory what its entry does not have. Any other file is made anew; a directory stays, with what
 * is in it, and would keep an attribute that the layer took away.
 */
export function dropXattrs(fd: number, header: TarHeader): void {
  const kept = new Set(header.xattrs.map(([name]) => name))
  for (const name of namesOf(fd)) {
    if (isPortable(name) && !kept.has(name)) fremovexattr(fd, name)
  }
}

function namesOf(fd: number): readonly string[] {
  try {
    return flistxattr(fd)
  } catch (error) {
    if (isSystemError(error, 'ENOTSUP', 'EOPNOTSUPP')) return []
    throw error
  }
}

/**
 * To an open file or directory; its times are `settleFile`'s or the directory tree's affair.
 *
 * @param isOwned it has its owner already
 */
export function applyToOpen(fd: number, header: FileHeader, wanted: XattrFilter, isOwned = false): void {
  if (!isOwned) own(fd, header)
  for (const [name, value] of header.xattrs) {
    if (wanted(name)) setXattr(header, name, () => fsetxattr(fd, name, value))
  }
  fchmod(fd, header.mode & modeBits)
}

function own(fd: number, header: FileHeader): void {
  try {
    fchown(fd, header.uid, header.gid)
  } catch (error) {
    throw ownerError(error, header)
  }
}

export function settleFile(fd: number, header: FileHeader): void {
  const { atimeNs, mtimeNs } = timesOf(header)
  futimens(fd, atimeNs, mtimeNs)
}

/** To what cannot be opened without consequences: symlinks, devices and fifos. */
export function applyToName(parent: number, name: string, header: TarHeader, wanted: XattrFilter): void {
  changeOwner(parent, name, header)
  changeXattrs(parent, name, header, wanted)
  if (header.type !== 'symlink') changeMode(parent, name, header.mode & modeBits)
  const { atimeNs, mtimeNs } = timesOf(header)
  utimensat(parent, pathBytes(name), atimeNs, mtimeNs, AT_SYMLINK_NOFOLLOW)
}

/**
 * To a name that was just linked to a file that has its metadata already, and mostly the same. What does not differ
 * is left alone, because a chown(2) to the same owner would take the file's capabilities away.
 */
export function applyToLink(parent: number, name: string, header: TarHeader, wanted: XattrFilter): void {
  const path = pathBytes(name)
  const stat = statx(parent, path, AT_SYMLINK_NOFOLLOW)
  const symlink = (stat.mode & S.IFMT) === S.IFLNK
  const owned = stat.uid === header.uid && stat.gid === header.gid
  if (!owned) changeOwner(parent, name, header)
  changeXattrs(parent, name, header, wanted)
  if (symlink) return
  if (!owned || (stat.mode & modeBits) !== (header.mode & modeBits)) {
    changeMode(parent, name, header.mode & modeBits)
  }
  const { atimeNs, mtimeNs } = timesOf(header)
  // Whole seconds: some writers give a link's header no more.
  if (BigInt(stat.mtimeSec) !== mtimeNs / 1_000_000_000n)
    utimensat(parent, path, atimeNs, mtimeNs, AT_SYMLINK_NOFOLLOW)
}

/** Whether `applyToLink` would change anything. */
export function linkDiffers(parent: number, name: string, header: TarHeader, wanted: XattrFilter): boolean {
  const stat = statx(parent, pathBytes(name), AT_SYMLINK_NOFOLLOW)
  if (stat.uid !== header.uid || stat.gid !== header.gid) return true
  if (BigInt(stat.mtimeSec) !== timesOf(header).mtimeNs / 1_000_000_000n) return true
  if ((stat.mode & S.IFMT) !== S.IFLNK && (stat.mode & modeBits) !== (header.mode & modeBits)) return true
  const path = namePath(parent, name)
  return header.xattrs.some(
    ([attribute, value]) => wanted(attribute) && lgetxattr(path, attribute)?.equals(value) !== true,
  )
}

function changeOwner(parent: number, name: string, header: TarHeader): void {
  try {
    fchownat(parent, pathBytes(name), header.uid, header.gid, AT_SYMLINK_NOFOLLOW)
  } catch (error) {
    throw ownerError(error, header)
  }
}

function changeXattrs(parent: number, name: string, header: TarHeader, wanted: XattrFilter): void {
  if (header.xattrs.length === 0) return
  const path = namePath(parent, name)
  for (const [attribute, value] of header.xattrs) {
    if (wanted(attribute)) setXattr(header, attribute, () => lsetxattr(path, attribute, value))
  }
}

/** There is no setxattrat(2) before Linux 6.13; the parent's descriptor stands for its path. */
function namePath(parent: number, name: string): Buffer {
  return Buffer.concat([Buffer.from(`/proc/self/fd/${parent}/`), Buffer.from(name, 'latin1')])
}

/** fchmodat(2) would follow a symlink that somebody put there meanwhile; a descriptor of the node itself cannot. */
function changeMode(parent: number, name: string, mode: number): void {
  const fd = openat(parent, pathBytes(name), O.PATH | O.NOFOLLOW)
  try {
    fchmodat(AT_FDCWD, `/proc/self/fd/${fd}`, mode)
  } finally {
    closeSync(fd)
  }
}

/** As in moby, what has no access time, or one before its modification, was accessed when it was modified. */
export function timesOf(header: FileHeader): Times {
  const { atimeNs, mtimeNs } = header
  return { atimeNs: atimeNs === undefined || atimeNs < mtimeNs ? mtimeNs : atimeNs, mtimeNs }
}

function setXattr(header: FileHeader, name: string, set: () => void): void {
  try {
    set()
  } catch (error) {
    if (!isSystemError(error, 'ENOTSUP', 'EOPNOTSUPP', 'EPERM')) throw error
    // Without its capabilities a program silently loses what it needs. The rest may be absent, as in moby: labels
    // of a security module that is not here, `trusted.*` in a user namespace, `user.*` on a symlink.
    if (name !== 'security.capability') return
    throw unsupportedEntry(header, 'file capabilities cannot be stored on this filesystem', error)
  }
}

function ownerError(error: unknown, header: FileHeader): unknown {
  if (!isSystemError(error, 'EINVAL', 'EPERM')) return error
  const owner = `${header.uid}:${header.gid}`
  const remedy =
    'run as root, or in a user namespace whose ranges in /etc/subuid and /etc/subgid cover these ids'
  return unsupportedEntry(header, `owner ${owner} does not exist here; ${remedy}`, error)
}
