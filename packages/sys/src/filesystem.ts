import { existsSync, realpathSync, statfsSync } from 'node:fs'
import path from 'node:path'
import { O } from './abi.ts'
import { checked, libc, type Path } from './libc.ts'
import { isSystemError } from './error.ts'
import { withOpen } from './open.ts'
import { lstatx } from './stat.ts'

/** `f_type` of statfs(2) by name (linux/magic.h), under Docker's name where it has one. */
export const FILESYSTEM_MAGIC = {
  '9p': 0x01021997,
  aufs: 0x61756673,
  bcachefs: 0xca451a4e,
  btrfs: 0x9123683e,
  ceph: 0x00c36400,
  cifs: 0xff534d42,
  cramfs: 0x28cd3d45,
  ecryptfs: 0xf15f,
  erofs: 0xe0f5e1e2,
  exfat: 0x2011bab0,
  extfs: 0xef53,
  f2fs: 0xf2f52010,
  fuse: 0x65735546,
  gpfs: 0x47504653,
  jffs2: 0x72b6,
  jfs: 0x3153464a,
  msdos: 0x4d44,
  nfs: 0x6969,
  overlayfs: 0x794c7630,
  proc: 0x9fa0,
  ramfs: 0x858458f6,
  reiserfs: 0x52654973,
  smb: 0x517b,
  smb2: 0xfe534d42,
  squashfs: 0x73717368,
  sysfs: 0x62656572,
  tmpfs: 0x01021994,
  unsupported: 0,
  vxfs: 0xa501fcf5,
  xfs: 0x58465342,
  zfs: 0x2fc12fc1,
} as const

/** The name of a filesystem in `FILESYSTEM_MAGIC`, else `<unknown>`. */
export function filesystemName(magic: number): string {
  const found = Object.entries(FILESYSTEM_MAGIC).find(([, value]) => value === magic)
  return found?.[0] ?? '<unknown>'
}

/** A filesystem's kind and room. */
export interface FilesystemStatistics {
  /** One of `FILESYSTEM_MAGIC`, as an unsigned 32-bit number. */
  readonly type: number
  /** Bytes. */
  readonly blockSize: number
  readonly blocks: bigint
  readonly blocksFree: bigint
  /** Free to ordinary users. */
  readonly blocksAvailable: bigint
  /** Inodes; 0 where the filesystem makes them as needed. */
  readonly files: bigint
  readonly filesFree: bigint
}

/** statfs(2). Also works where there is no Linux kernel. */
export function statfs(path: string | Buffer): FilesystemStatistics {
  const found = statfsSync(path, { bigint: true })
  return {
    type: Number(BigInt.asUintN(32, found.type)),
    blockSize: Number(found.bsize),
    blocks: found.blocks,
    blocksFree: found.bfree,
    blocksAvailable: found.bavail,
    files: found.files,
    filesFree: found.ffree,
  }
}

/**
 * Whether, after a power cut, no name is there without all those that were made before it: XFS logs them in order, and so
 * does ext4 with a journal of its own.
 */
export function keepsOrder(directory: string): boolean {
  const { type } = statfs(directory)
  if (type === FILESYSTEM_MAGIC.xfs) return true
  if (type !== FILESYSTEM_MAGIC.extfs) return false
  const { dev } = lstatx(`${directory}/.`)
  const [major, minor] = [Math.floor(dev / 0x1_0000_0000), dev % 0x1_0000_0000]
  try {
    const name = path.basename(realpathSync(`/sys/dev/block/${major}:${minor}`))
    // The journal's thread, by the device and the inode of the journal (ext4's is 8).
    return existsSync(`/proc/fs/jbd2/${name}-8`)
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'EACCES', 'ENOTDIR')) return false
    throw error
  }
}

/** syncfs(2): everything written to the filesystem that `fd` is on is durable when it returns. */
export function syncfs(fd: number): void {
  checked(libc('syncfs').syncfs(fd), 'syncfs')
}

/** The same of the filesystem that a directory is on. */
export function syncFilesystem(directory: Path): void {
  withOpen(directory, O.RDONLY | O.DIRECTORY, syncfs)
}
