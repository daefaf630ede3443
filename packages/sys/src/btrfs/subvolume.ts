/**
 * Subvolumes of btrfs, by its ioctls (linux/btrfs.h): a subvolume is a directory that is a filesystem of its own, and
 * a snapshot one that shares everything with another until either is changed.
 */
import { closeSync } from 'node:fs'
import { O } from '../abi.ts'
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, S } from '../constants.ts'
import { isSystemError, SystemError } from '../error.ts'
import { ioctl } from '../file.ts'
import { FILESYSTEM_MAGIC, statfs } from '../filesystem.ts'
import type { Path } from '../libc.ts'
import { openat } from '../open.ts'
import { statx } from '../stat.ts'
import { constants } from 'node:os'

const SUBVOL_CREATE = 0x5000940e
const SNAP_DESTROY = 0x5000940f
const SNAP_CREATE_V2 = 0x50009417
const SYNC = 0x9408
const GET_SUBVOL_INFO = 0x81f8943c

/** The inode number of every subvolume's root, and the first that any file has. */
export const firstInode = 256n

/** struct btrfs_ioctl_vol_args: fd, name[4088]. Version 2 has its name at 56. */
function volumeArguments(name: string, nameAt: number): Buffer {
  const bytes = Buffer.from(name)
  const buffer = Buffer.alloc(4096)
  if (bytes.length >= buffer.length - nameAt || bytes.includes(0) || bytes.includes('/'))
    throw new SystemError(constants.errno.EINVAL, {
      syscall: 'ioctl',
      path: name,
      note: 'no name of a subvolume',
    })
  bytes.copy(buffer, nameAt)
  return buffer
}

/** What is done to one directory, with its path in what goes wrong. */
function inDirectory<T>(directory: Path, what: string, action: (fd: number) => T): T {
  const fd = openat(AT_FDCWD, directory, O.RDONLY | O.DIRECTORY)
  try {
    return action(fd)
  } catch (error) {
    if (!(error instanceof SystemError)) throw error
    throw new SystemError(-error.errno, { syscall: 'ioctl', path: directory.toString(), note: what })
  } finally {
    closeSync(fd)
  }
}

/** Makes an empty subvolume. @throws SystemError EEXIST, ENOTTY where the directory is not on btrfs */
export function createSubvolume(directory: Path, name: string): void {
  inDirectory(directory, `subvolume ${name}`, (fd) => ioctl(fd, SUBVOL_CREATE, volumeArguments(name, 8)))
}

/** Makes a writable snapshot of the subvolume at `source`. @throws SystemError EEXIST; EINVAL when it is none */
export function snapshotSubvolume(source: Path, directory: Path, name: string): void {
  const from = openat(AT_FDCWD, source, O.RDONLY | O.DIRECTORY | O.NOFOLLOW)
  try {
    const argument = volumeArguments(name, 56)
    argument.writeBigInt64LE(BigInt(from), 0)
    inDirectory(directory, `snapshot ${name}`, (fd) => ioctl(fd, SNAP_CREATE_V2, argument))
  } finally {
    closeSync(from)
  }
}

/** Deletes a subvolume with all that is in it but other subvolumes. @throws SystemError ENOTEMPTY with one inside */
export function destroySubvolume(directory: Path, name: string): void {
  inDirectory(directory, `deletion of ${name}`, (fd) => ioctl(fd, SNAP_DESTROY, volumeArguments(name, 8)))
}

/** Whether a directory, which is not followed, is the root of a subvolume. */
export function isSubvolume(directory: string): boolean {
  try {
    const { ino, mode } = statx(AT_FDCWD, directory, AT_SYMLINK_NOFOLLOW)
    if ((mode & S.IFMT) !== S.IFDIR || BigInt(ino) !== firstInode) return false
    return statfs(directory).type === FILESYSTEM_MAGIC.btrfs
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return false
    throw error
  }
}

export interface SubvolumeInfo {
  /** Of its tree, and of its qgroup. */
  readonly id: bigint
  /** The transaction that changed it last. */
  readonly generation: bigint
  /** 32 hexadecimal digits. */
  readonly uuid: string
  /** That of what it is a snapshot of; zeros for none. */
  readonly parentUuid: string
  /** The transaction that made it: what changed in it since has a later one. */
  readonly madeIn: bigint
}

/** @throws SystemError ENOTTY before Linux 4.18 */
export function subvolumeInfo(fd: number): SubvolumeInfo {
  // struct btrfs_ioctl_get_subvol_info_args
  const buffer = Buffer.alloc(504)
  ioctl(fd, GET_SUBVOL_INFO, buffer)
  return {
    id: buffer.readBigUInt64LE(0),
    generation: buffer.readBigUInt64LE(280),
    uuid: buffer.toString('hex', 296, 312),
    parentUuid: buffer.toString('hex', 312, 328),
    madeIn: buffer.readBigUInt64LE(352),
  }
}

/** Commits the running transaction: what was written before is in the trees, and on the disk, when it returns. */
export function commit(fd: number): void {
  ioctl(fd, SYNC)
}
