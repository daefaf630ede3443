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
  DIRSYNC: 0x80,
  NOATIME: 0x400,
  NODIRATIME: 0x800,
  BIND: 0x1000,
  MOVE: 0x2000,
  REC: 0x4000,
  UNBINDABLE: 0x20000,
  PRIVATE: 0x40000,
  SLAVE: 0x80000,
  SHARED: 0x100000,
  RELATIME: 0x200000,
  STRICTATIME: 0x1000000,
} as const

/** umount2(2). */
export const MNT = { FORCE: 1, DETACH: 2, EXPIRE: 4, NOFOLLOW: 8 } as const

/** open_tree(2). */
export const OPEN_TREE = { CLONE: 1, CLOEXEC: 0o2000000 } as const

/** mount_setattr(2) and fsmount(2). */
export const MOUNT_ATTR = {
  RDONLY: 0x1,
  NOSUID: 0x2,
  NODEV: 0x4,
  NOEXEC: 0x8,
  RELATIME: 0x0,
  NOATIME: 0x10,
  STRICTATIME: 0x20,
  NODIRATIME: 0x80,
  IDMAP: 0x100000,
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
  readonly NOATIME: number
  readonly CLOEXEC: number
  readonly PATH: number
  readonly DIRECT: number
  readonly DIRECTORY: number
  readonly NOFOLLOW: number
  readonly TMPFILE: number
}

/** System call numbers that are not the same on every machine. */
interface CallNumbers {
  readonly mknodat: number
  readonly syncfs: number
  readonly getdents64: number
  readonly renameat2: number
}

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
  NOATIME: 0o1000000,
  CLOEXEC: 0o2000000,
  PATH: 0o10000000,
}

/** What the two machines this package serves do differently. */
export const machines: Readonly<
  Record<'x64' | 'arm64', { readonly open: OpenFlags; readonly calls: CallNumbers }>
> = {
  x64: {
    open: { ...openFlags, DIRECT: 0o40000, DIRECTORY: 0o200000, NOFOLLOW: 0o400000, TMPFILE: 0o20200000 },
    calls: { mknodat: 259, syncfs: 306, getdents64: 217, renameat2: 316 },
  },
  arm64: {
    open: { ...openFlags, DIRECT: 0o200000, DIRECTORY: 0o40000, NOFOLLOW: 0o100000, TMPFILE: 0o20040000 },
    calls: { mknodat: 33, syncfs: 267, getdents64: 61, renameat2: 276 },
  },
}

const machine = process.arch === 'arm64' ? machines.arm64 : machines.x64

/** Flags of open(2) on this machine. */
export const O: OpenFlags = machine.open

/** System call numbers on this machine. */
export const callNumber: CallNumbers = machine.calls

/** Those from 424 on are the same everywhere. */
export const sharedCallNumber = {
  openTree: 428,
  moveMount: 429,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
  openat2: 437,
  mountSetattr: 442,
} as const
