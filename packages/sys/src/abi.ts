/**
 * Numbers of the Linux kernel's interface. Most are the same everywhere; what differs between x86-64 and arm64 is
 * in the two tables at the end. Sources: include/uapi/linux and arch/<arch>/include/uapi of the kernel.
 */

/** `dirfd` that means the current directory, and flags of the `*at` calls (openat(2), linkat(2), statx(2)). */
export const AT_FDCWD = -100
export const AT_SYMLINK_NOFOLLOW = 0x100
export const AT_REMOVEDIR = 0x200
export const AT_SYMLINK_FOLLOW = 0x400
export const AT_NO_AUTOMOUNT = 0x800
export const AT_EMPTY_PATH = 0x1000
export const AT_RECURSIVE = 0x8000

/** File types and mode bits (inode(7)). */
export const S = {
  IFMT: 0o170000,
  IFSOCK: 0o140000,
  IFLNK: 0o120000,
  IFREG: 0o100000,
  IFBLK: 0o060000,
  IFDIR: 0o040000,
  IFCHR: 0o020000,
  IFIFO: 0o010000,
  ISUID: 0o4000,
  ISGID: 0o2000,
  ISVTX: 0o1000,
} as const

/** Types in directory entries (getdents(2)). */
export const DT = {
  UNKNOWN: 0,
  FIFO: 1,
  CHR: 2,
  DIR: 4,
  BLK: 6,
  REG: 8,
  LNK: 10,
  SOCK: 12,
  WHT: 14,
} as const

/** How openat2(2) may resolve a path. */
export const RESOLVE = {
  NO_XDEV: 0x01,
  NO_MAGICLINKS: 0x02,
  NO_SYMLINKS: 0x04,
  BENEATH: 0x08,
  IN_ROOT: 0x10,
  CACHED: 0x20,
} as const

/** renameat2(2). */
export const RENAME = { NOREPLACE: 1, EXCHANGE: 2, WHITEOUT: 4 } as const

/** mount(2). */
export const MS = {
  RDONLY: 0x1,
  NOSUID: 0x2,
  NODEV: 0x4,
  NOEXEC: 0x8,
  SYNCHRONOUS: 0x10,
  REMOUNT: 0x20,
  MANDLOCK: 0x40,
  DIRSYNC: 0x80,
  NOSYMFOLLOW: 0x100,
  NOATIME: 0x400,
  NODIRATIME: 0x800,
  BIND: 0x1000,
  MOVE: 0x2000,
  REC: 0x4000,
  SILENT: 0x8000,
  POSIXACL: 0x10000,
  UNBINDABLE: 0x20000,
  PRIVATE: 0x40000,
  SLAVE: 0x80000,
  SHARED: 0x100000,
  RELATIME: 0x200000,
  I_VERSION: 0x800000,
  STRICTATIME: 0x1000000,
  LAZYTIME: 0x2000000,
} as const

/** umount2(2). */
export const MNT = { FORCE: 1, DETACH: 2, EXPIRE: 4, NOFOLLOW: 8 } as const

/** open_tree(2). */
export const OPEN_TREE = { CLONE: 1, CLOEXEC: 0o2000000, RECURSIVE: 0x8000 } as const

/** move_mount(2). */
export const MOVE_MOUNT = {
  F_SYMLINKS: 0x1,
  F_AUTOMOUNTS: 0x2,
  F_EMPTY_PATH: 0x4,
  T_SYMLINKS: 0x10,
  T_AUTOMOUNTS: 0x20,
  T_EMPTY_PATH: 0x40,
  SET_GROUP: 0x100,
  BENEATH: 0x200,
} as const

/** flock(2). */
export const LOCK = { SH: 1, EX: 2, NB: 4, UN: 8 } as const

/** Flags of `lsetxattr` and `fsetxattr` (setxattr(2)). */
export const XATTR = { CREATE: 1, REPLACE: 2 } as const

/** mount_setattr(2) and fsmount(2). */
export const MOUNT_ATTR = {
  RDONLY: 0x1,
  NOSUID: 0x2,
  NODEV: 0x4,
  NOEXEC: 0x8,
  /** The field that RELATIME, NOATIME and STRICTATIME are values of: clear it when setting one. */
  ATIME: 0x70,
  RELATIME: 0x0,
  NOATIME: 0x10,
  STRICTATIME: 0x20,
  NODIRATIME: 0x80,
  IDMAP: 0x100000,
  NOSYMFOLLOW: 0x200000,
} as const

/** Flags of open(2) that this package uses. */
export interface OpenFlags {
  readonly RDONLY: number
  readonly WRONLY: number
  readonly RDWR: number
  readonly CREAT: number
  readonly EXCL: number
  readonly NOCTTY: number
  readonly TRUNC: number
  readonly APPEND: number
  readonly NONBLOCK: number
  readonly DSYNC: number
  readonly SYNC: number
  readonly NOATIME: number
  readonly CLOEXEC: number
  readonly PATH: number
  readonly DIRECT: number
  readonly LARGEFILE: number
  readonly DIRECTORY: number
  readonly NOFOLLOW: number
  /** With DIRECTORY, as in the C headers. */
  readonly TMPFILE: number
}

/** System calls by number: arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h. */
const x64Calls = {
  copy_file_range: 326,
  fallocate: 285,
  fchmod: 91,
  fchmodat: 268,
  fchown: 93,
  fchownat: 260,
  fgetxattr: 193,
  flistxattr: 196,
  flock: 73,
  fremovexattr: 199,
  fsetxattr: 190,
  getdents64: 217,
  ioctl: 16,
  lgetxattr: 192,
  linkat: 265,
  llistxattr: 195,
  lremovexattr: 198,
  lseek: 8,
  lsetxattr: 189,
  mkdirat: 258,
  mknodat: 259,
  mount: 165,
  openat: 257,
  readlinkat: 267,
  renameat2: 316,
  statx: 332,
  symlinkat: 266,
  syncfs: 306,
  umount2: 166,
  unlinkat: 263,
  utimensat: 280,
} as const

const arm64Calls: CallNumbers = {
  copy_file_range: 285,
  fallocate: 47,
  fchmod: 52,
  fchmodat: 53,
  fchown: 55,
  fchownat: 54,
  fgetxattr: 10,
  flistxattr: 13,
  flock: 32,
  fremovexattr: 16,
  fsetxattr: 7,
  getdents64: 61,
  ioctl: 29,
  lgetxattr: 9,
  linkat: 37,
  llistxattr: 12,
  lremovexattr: 15,
  lseek: 62,
  lsetxattr: 6,
  mkdirat: 34,
  mknodat: 33,
  mount: 40,
  openat: 56,
  readlinkat: 78,
  renameat2: 276,
  statx: 291,
  symlinkat: 36,
  syncfs: 267,
  umount2: 39,
  unlinkat: 35,
  utimensat: 88,
}

/** From 424 on they are the same everywhere. */
const sharedCalls = {
  fsconfig: 431,
  fsmount: 432,
  fsopen: 430,
  fspick: 433,
  mount_setattr: 442,
  move_mount: 429,
  open_tree: 428,
  openat2: 437,
} as const

/** System calls that are not the same on every machine. */
type CallNumbers = Readonly<Record<keyof typeof x64Calls, number>>

/** The name of a system call that this package makes. */
export type SystemCall = keyof typeof x64Calls | keyof typeof sharedCalls

const openFlags = {
  RDONLY: 0,
  WRONLY: 1,
  RDWR: 2,
  CREAT: 0o100,
  EXCL: 0o200,
  NOCTTY: 0o400,
  TRUNC: 0o1000,
  APPEND: 0o2000,
  NONBLOCK: 0o4000,
  DSYNC: 0o10000,
  SYNC: 0o4010000,
  NOATIME: 0o1000000,
  CLOEXEC: 0o2000000,
  PATH: 0o10000000,
}

/** One machine's flags and numbers. */
interface Machine {
  readonly open: OpenFlags
  readonly calls: Readonly<Record<SystemCall, number>>
}

/** What the two machines this package serves do differently. */
export const machines: Readonly<Record<'x64' | 'arm64', Machine>> = {
  x64: {
    open: {
      ...openFlags,
      DIRECT: 0o40000,
      LARGEFILE: 0o100000,
      DIRECTORY: 0o200000,
      NOFOLLOW: 0o400000,
      TMPFILE: 0o20200000,
    },
    calls: { ...x64Calls, ...sharedCalls },
  },
  arm64: {
    open: {
      ...openFlags,
      DIRECT: 0o200000,
      LARGEFILE: 0o400000,
      DIRECTORY: 0o40000,
      NOFOLLOW: 0o100000,
      TMPFILE: 0o20040000,
    },
    calls: { ...arm64Calls, ...sharedCalls },
  },
}

/** Flags of open(2) on this machine. */
export const O: OpenFlags = process.arch === 'arm64' ? machines.arm64.open : machines.x64.open
