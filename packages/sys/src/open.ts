import { closeSync } from 'node:fs'
import { constants } from 'node:os'
import { O } from './abi.ts'
import { AT_FDCWD } from './constants.ts'
import { cstring, failure, lastError, libc, type Path } from './libc.ts'

/** What `openat2` opens, and how it gets there. */
export interface OpenHow {
  readonly flags: number
  /** Permission bits of a file that is created, before the umask; 0o666 by default. */
  readonly mode?: number | undefined
  /** Bits of `RESOLVE`. */
  readonly resolve?: number | undefined
}

const how = Buffer.alloc(24)
/** Without one of these, openat2(2) refuses a mode. The second is TMPFILE without its DIRECTORY. */
const creates = O.CREAT | 0o20000000
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
  how.writeUInt32LE(options.mode ?? ((options.flags & creates) === 0 ? 0 : 0o666), 8)
  how.writeUInt32LE(options.resolve ?? 0, 16)
  const name = cstring(path)
  for (let attempt = 0; ; attempt++) {
    const fd = c.openat2(dirfd, name, how, how.length)
    if (fd !== -1) return fd
    const errno = lastError('openat2')
    const again = errno === constants.errno.EAGAIN || errno === constants.errno.EINTR
    if (!again || attempt === resolveAttempts) throw failure('openat2', path)
  }
}

/** openat(2), always with `O_CLOEXEC`. The umask applies to `mode`. */
export function openat(dirfd: number, path: Path, flags: number, mode = 0o666): number {
  const c = libc('openat')
  const name = cstring(path)
  for (;;) {
    const fd = c.openat(dirfd, name, flags | O.CLOEXEC, mode)
    if (fd !== -1) return fd
    if (c.errno() !== constants.errno.EINTR) throw failure('openat', path)
  }
}

/** Opens a file for as long as it is used. */
export function withOpen<T>(path: Path, flags: number, use: (fd: number) => T): T {
  const fd = openat(AT_FDCWD, path, flags)
  try {
    return use(fd)
  } finally {
    closeSync(fd)
  }
}

/** close(2). */
export { closeSync as close } from 'node:fs'
