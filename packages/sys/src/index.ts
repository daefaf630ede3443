export { O, type OpenFlags } from './abi.ts'
export { isUnfinished, syncDirectory, unfinishedFiles, writeAtomically } from './atomic-file.ts'
export {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_NO_AUTOMOUNT,
  AT_RECURSIVE,
  AT_REMOVEDIR,
  AT_SYMLINK_FOLLOW,
  AT_SYMLINK_NOFOLLOW,
  DT,
  LOCK,
  MNT,
  MOUNT_ATTR,
  MOVE_MOUNT,
  MS,
  OPEN_TREE,
  RENAME,
  RESOLVE,
  S,
  XATTR,
} from './constants.ts'
export { CommandError, type CommandOptions, type CommandResult, findCommand, run } from './command.ts'
export {
  type DirectoryEntry,
  ensureDirectory,
  existingAncestors,
  fsyncDirectory,
  readDirectory,
  namesIn,
} from './directory.ts'
export { DetachedMounts, openDetached } from './detached-mounts.ts'
export { holdDirectory, lockDirectory, tryLockDirectory } from './directory-lock.ts'
export {
  isOfTheMoment,
  isSystemError,
  SystemError,
  type SystemErrorContext,
  UnsupportedPlatformError,
} from './error.ts'
export {
  copyFileRange,
  fallocatePunchHole,
  ficlone,
  flock,
  ioctl,
  type LockMode,
  lseekData,
  lseekHole,
} from './file.ts'
export {
  FILESYSTEM_MAGIC,
  filesystemName,
  type FilesystemStatistics,
  keepsOrder,
  statfs,
  syncFilesystem,
  syncfs,
} from './filesystem.ts'
export { fileHolders, mountHolders } from './holders.ts'
export { FastInflate } from './isal.ts'
export type { Decompressor, DecompressorStep } from './decompressor.ts'
export { FastZstd } from './zstd.ts'
export { cstring, type Path } from './libc.ts'
export { growExt4, growLoop, growXfs } from './grow.ts'
export { attachLoop, detachLoop, findLoopDevices, type LoopDevice, type LoopOptions } from './loop.ts'
export { mappedMounts, openMapped } from './mapped-mount.ts'
export { fchmod, fchmodat, fchown, fchownat, futimens, utimensat } from './metadata.ts'
export {
  contextOption,
  detach,
  hasSelinux,
  isMountPoint,
  mount,
  type MountRequest,
  removeMountPoint,
  umount,
  unmountAndRemove,
  unmountTree,
} from './mount.ts'
export {
  fsconfigCreate,
  fsconfigFd,
  fsconfigFlag,
  fsconfigReconfigure,
  fsconfigString,
  fsmount,
  fsopen,
  fspick,
  type FilesystemOption,
  type MountAttributes,
  mountFilesystem,
  mountSetattr,
  moveMount,
  moveMountAt,
  openFilesystem,
  openTree,
} from './mount-api.ts'
export { type MountEntry, parseMountInfo, readMountTable } from './mount-table.ts'
export { close, openat, openat2, type OpenHow } from './open.ts'
export {
  type Capability,
  getpagesize,
  hasCapability,
  idMaps,
  type IdRange,
  inUserNamespace,
  kernelVersion,
} from './process.ts'
export { freeSocket } from './socket.ts'
export { lstatx, major, makedev, minor, type Stat, statx } from './stat.ts'
export { type IdRanges, withUserNamespace } from './user-namespace.ts'
export { linkat, mkdirat, mknodat, readlinkat, renameat2, symlinkat, unlinkat } from './tree.ts'
export {
  fgetxattr,
  flistxattr,
  fremovexattr,
  fsetxattr,
  lgetxattr,
  listxattrat,
  llistxattr,
  lremovexattr,
  lsetxattr,
} from './xattr.ts'
export {
  discardProbe,
  nearestDirectory,
  reapProbes,
  tryAt,
  type Unwritable,
  whyUnwritable,
} from './probe-place.ts'
export {
  abandonedScratch,
  makeScratch,
  moveToScratch,
  reapScratch,
  type Scratch,
  takeName,
} from './scratch.ts'
