/** Calls that make, link, rename and remove names relative to a directory descriptor. */
import { SystemError } from './error.ts'
import { checked, cstring, libc, type Path } from './libc.ts'

/** mkdirat(2); the umask applies. */
export function mkdirat(dirfd: number, path: Path, mode: number): void {
  checked(libc('mkdirat').mkdirat(dirfd, cstring(path), mode), 'mkdirat', path)
}

/**
 * mknodat(2). `mode` carries the type; `dev` is `makedev(major, minor)`, and 0 for what is no device.
 *
 * @throws SystemError EINVAL for a `dev` beyond the 32 bits that the call has room for
 */
export function mknodat(dirfd: number, path: Path, mode: number, dev: bigint | number): void {
  const c = libc('mknodat')
  if (dev < 0 || dev > 0xffff_ffff) throw new SystemError(22, { syscall: 'mknodat', path: path.toString() })
  checked(c.mknodat(dirfd, cstring(path), mode, dev), 'mknodat', path)
}

/** unlinkat(2); `AT_REMOVEDIR` for directories. */
export function unlinkat(dirfd: number, path: Path, flags = 0): void {
  checked(libc('unlinkat').unlinkat(dirfd, cstring(path), flags), 'unlinkat', path)
}

/** symlinkat(2). */
export function symlinkat(target: Path, dirfd: number, path: Path): void {
  checked(libc('symlinkat').symlinkat(cstring(target), dirfd, cstring(path)), 'symlinkat', target, path)
}

/** linkat(2); does not follow a symlink unless `AT_SYMLINK_FOLLOW` is given. */
export function linkat(oldDirfd: number, oldPath: Path, newDirfd: number, newPath: Path, flags = 0): void {
  const c = libc('linkat')
  checked(c.linkat(oldDirfd, cstring(oldPath), newDirfd, cstring(newPath), flags), 'linkat', oldPath, newPath)
}

/** renameat2(2) with bits of `RENAME`. */
export function renameat2(oldDirfd: number, oldPath: Path, newDirfd: number, newPath: Path, flags = 0): void {
  const c = libc('renameat2')
  const result = c.renameat2(oldDirfd, cstring(oldPath), newDirfd, cstring(newPath), flags)
  checked(result, 'renameat2', oldPath, newPath)
}

const linkTarget = Buffer.alloc(4097)

/** readlinkat(2): the raw bytes of a symlink's target. With an empty path it reads the link that `dirfd` is. */
export function readlinkat(dirfd: number, path: Path): Buffer {
  const length = libc('readlinkat').readlinkat(dirfd, cstring(path), linkTarget, linkTarget.length)
  return Buffer.from(linkTarget.subarray(0, checked(length, 'readlinkat', path)))
}
