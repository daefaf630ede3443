/**
 * Numbers of the Linux kernel's interface that x86-64 and arm64 do not share: system calls and some open flags.
 * Sources: arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic, arch/arm64/include/uapi/asm/fcntl.h.
 */

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
  quotactl: 179,
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
  quotactl: 60,
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
  listxattrat: 465,
  mount_setattr: 442,
  move_mount: 429,
  open_tree: 428,
  openat2: 437,
  quotactl_fd: 443,
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
