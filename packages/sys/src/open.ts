import { constants } from 'node:os'
import { sharedCallNumber, O } from './abi.ts'
import { checked, cstring, failure, lastError, libc, type Path } from './libc.ts'

export interface OpenHow {
  readonly flags: number
  /** Permission bits of a file that is created. */
  readonly mode?: number | undefined
  /** Bits of `RESOLVE`. */
  readonly resolve?: number | undefined
}

const how = Buffer.alloc(24)
/** The kernel asks to try again when a rename elsewhere raced with a scoped lookup. */
const resolveAttempts = 128

/**
 * openat2(2), always with `O_CLOEXEC`. With `RESOLVE.IN_ROOT` absolute symlinks and `..` stay below `dirfd`.
 *
 * @returns a file descriptor, for `fs.closeSync`
 * @throws SystemError; ENOSYS before Linux 5.6
 */
export function openat2(dirfd: number, path: Path, options: OpenHow): number {
  const c = libc('openat2')
  const flags = options.flags | O.CLOEXEC
  how.writeUInt32LE(flags, 0)
  how.writeUInt32LE(0, 4)
  how.writeUInt32LE(options.mode ?? 0, 8)
  how.writeUInt32LE(options.resolve ?? 0, 16)
  const name = cstring(path)
  for (let attempt = 0; ; attempt++) {
    const fd = c.callIppl(sharedCallNumber.openat2, dirfd, name, how, how.length)
    if (fd !== -1) return fd
    const errno = lastError('openat2')
    const again = errno === constants.errno.EAGAIN || errno === constants.errno.EINTR
    if (!again || attempt === resolveAttempts) throw failure('openat2', path)
  }
}

/** openat(2), always with `O_CLOEXEC`. */
export function openat(dirfd: number, path: Path, flags: number, mode = 0): number {
  return checked(libc('openat').openat(dirfd, cstring(path), flags | O.CLOEXEC, mode), 'openat', path)
}
