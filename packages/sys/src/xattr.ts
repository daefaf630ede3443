/** Extended attributes (xattr(7)). The `l` calls take a path and never follow it, the `f` calls a descriptor. */
import { constants } from 'node:os'
import { AT_SYMLINK_NOFOLLOW } from './constants.ts'
import { isSystemError } from './error.ts'
import { cstring, checked, failure, lastError, libc, type Path } from './libc.ts'

const { ENODATA, ERANGE } = constants.errno
/** XATTR_SIZE_MAX and XATTR_LIST_MAX of the kernel. */
const largest = 64 * 1024
const small = Buffer.alloc(1024)
const none = Buffer.alloc(0)

type Read = (into: Buffer) => number

function readAll(read: Read, syscall: string, path?: Path, room?: number): Buffer | undefined {
  let into = room === undefined ? small : Buffer.allocUnsafe(room)
  for (;;) {
    const length = read(into)
    if (length !== -1) return length === 0 ? none : Buffer.from(into.subarray(0, length))
    const errno = lastError(syscall)
    if (errno === ENODATA) return undefined
    if (errno !== ERANGE || into.length === largest) throw failure(syscall, path)
    into = Buffer.alloc(largest)
  }
}

function namesIn(list: Buffer | undefined): string[] {
  if (list === undefined || list.length === 0) return []
  return list.toString('utf8', 0, list.length - 1).split('\0')
}

/**
 * `undefined` when the attribute is not there.
 *
 * @param room bytes for a value at first, where a filesystem does not tell in the usual way that there are too few
 * @throws SystemError ENOTSUP where the filesystem has none
 */
export function lgetxattr(path: Path, name: string, room?: number): Buffer | undefined {
  const c = libc('lgetxattr')
  const file = cstring(path)
  const key = cstring(name)
  return readAll((into) => c.lgetxattr(file, key, into, into.length), 'lgetxattr', path, room)
}

/** Sets an attribute, with bits of `XATTR`. @throws SystemError ENOTSUP, EPERM, ENOSPC, E2BIG beyond 64 KiB */
export function lsetxattr(path: Path, name: string, value: Buffer, flags = 0): void {
  checked(
    libc('lsetxattr').lsetxattr(cstring(path), cstring(name), value, value.length, flags),
    'lsetxattr',
    path,
  )
}

/** The names of all attributes; those of `trusted.` only with CAP_SYS_ADMIN. */
export function llistxattr(path: Path): string[] {
  const c = libc('llistxattr')
  const file = cstring(path)
  return namesIn(readAll((into) => c.llistxattr(file, into, into.length), 'llistxattr', path))
}

/** Whether the kernel has listxattrat(2), which came with Linux 6.13; a filter of system calls may not know it. */
let hasListAt = true

/** As `llistxattr`, of what a name in an open directory is. */
export function listxattrat(dirfd: number, path: Path): string[] {
  if (hasListAt) {
    const c = libc('listxattrat')
    const file = cstring(path)
    const read: Read = (into) => c.listxattrat(dirfd, file, AT_SYMLINK_NOFOLLOW, into, into.length)
    try {
      return namesIn(readAll(read, 'listxattrat', path))
    } catch (error) {
      if (!isSystemError(error, 'ENOSYS', 'EPERM')) throw error
      hasListAt = false
    }
  }
  return llistxattr(Buffer.concat([Buffer.from(`/proc/self/fd/${dirfd}/`), Buffer.from(path)]))
}

/** @throws SystemError ENODATA when the attribute is not there */
export function lremovexattr(path: Path, name: string): void {
  checked(libc('lremovexattr').lremovexattr(cstring(path), cstring(name)), 'lremovexattr', path)
}

/** `undefined` when the attribute is not there. */
export function fgetxattr(fd: number, name: string): Buffer | undefined {
  const c = libc('fgetxattr')
  const key = cstring(name)
  return readAll((into) => c.fgetxattr(fd, key, into, into.length), 'fgetxattr')
}

/** As `lsetxattr`, of an open file. */
export function fsetxattr(fd: number, name: string, value: Buffer, flags = 0): void {
  checked(libc('fsetxattr').fsetxattr(fd, cstring(name), value, value.length, flags), 'fsetxattr')
}

/** As `llistxattr`, of an open file. */
export function flistxattr(fd: number): string[] {
  const c = libc('flistxattr')
  return namesIn(readAll((into) => c.flistxattr(fd, into, into.length), 'flistxattr'))
}

/** As `lremovexattr`, of an open file. */
export function fremovexattr(fd: number, name: string): void {
  checked(libc('fremovexattr').fremovexattr(fd, cstring(name)), 'fremovexattr')
}
