/** The system calls at which something may go wrong that a store has to survive. */
import type { Fault } from '@tooling/lab'

const naming = [
  'mkdir',
  'mkdirat',
  'rmdir',
  'rename',
  'renameat',
  'renameat2',
  'unlink',
  'unlinkat',
  'link',
  'linkat',
  'symlink',
  'symlinkat',
  'mknod',
  'mknodat',
] as const
const writing = [
  'write',
  'pwrite64',
  'writev',
  'pwritev',
  'ftruncate',
  'fallocate',
  'copy_file_range',
] as const
const flushing = ['fsync', 'fdatasync', 'syncfs'] as const
const attributes = [
  'chmod',
  'fchmod',
  'fchmodat',
  'fchmodat2',
  'chown',
  'lchown',
  'fchown',
  'fchownat',
  'utimensat',
  'setxattr',
  'lsetxattr',
  'fsetxattr',
  'removexattr',
  'lremovexattr',
  'fremovexattr',
] as const
const mounting = [
  'mount',
  'umount2',
  'fsopen',
  'fsconfig',
  'fsmount',
  'move_mount',
  'open_tree',
  'mount_setattr',
  'unshare',
  'setns',
] as const
const reading = [
  'read',
  'pread64',
  'getdents64',
  'statx',
  'newfstatat',
  'fstat',
  'statfs',
  'fstatfs',
  'readlink',
  'readlinkat',
  'getxattr',
  'lgetxattr',
  'fgetxattr',
  'listxattr',
  'llistxattr',
  'flistxattr',
] as const
const opening = ['open', 'openat', 'openat2'] as const

/**
 * Before these a process is killed: those that change something, or let others see that they are about to. Between two of them
 * nothing changes, so that dying anywhere is dying before one of them.
 */
const deadly = [
  ...naming,
  ...writing,
  ...flushing,
  ...attributes,
  ...mounting,
  ...opening,
  'ioctl',
  'flock',
  'close',
] as const

/** Which calls each fault meets. */
export const callsOf: Readonly<Record<Fault, readonly string[]>> = {
  kill: deadly,
  EIO: [...naming, ...writing, ...flushing, ...attributes, ...mounting, ...reading, ...opening, 'ioctl'],
  ENOSPC: [
    ...naming.filter((call) => !/rmdir|unlink/.test(call)),
    ...writing,
    ...flushing,
    ...attributes.filter((call) => call.includes('setxattr')),
    ...opening,
    'ioctl',
  ],
  EMFILE: [...opening, 'open_tree', 'fsopen', 'fsmount'],
  EINTR: [...writing, ...flushing, ...opening, 'flock', 'read', 'pread64'],
}

export const faults: readonly Fault[] = ['kill', 'EIO', 'ENOSPC', 'EMFILE', 'EINTR']
export const allCalls: readonly string[] = [...new Set(faults.flatMap((fault) => callsOf[fault]))]
