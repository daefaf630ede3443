/**
 * What a copy has beside its content. The order is the kernel's, not ours: a change of owner clears set-id bits and
 * capabilities, and writing anything moves times. So: owner, extended attributes, mode, times.
 */
import {
  AT_EMPTY_PATH,
  fchmod,
  fchown,
  fsetxattr,
  futimens,
  type Path,
  type Stat,
  statx,
} from '@graphdriver/sys'
import { copyXattrs, type OverlayXattrs } from './copy-xattrs.ts'
import { Descriptor } from './descriptor.ts'
import { xattrPath } from './portable-xattrs.ts'

export const permissions = 0o7777

const nanoseconds = 1_000_000_000n
const dot = Buffer.from('.')

/**
 * Gives an open file or directory what `source` has, a path or an open file, of which `stat` tells.
 *
 * @param isOwned it has its owner already
 */
export function copyAttributes(
  fd: number,
  source: Buffer | number,
  stat: Stat,
  overlay: OverlayXattrs,
  isOwned = false,
): void {
  if (!isOwned) fchown(fd, stat.uid, stat.gid)
  copyXattrs(source, (name, value) => fsetxattr(fd, name, value), overlay)
  fchmod(fd, stat.mode & permissions)
  futimens(fd, atimeOf(stat), mtimeOf(stat))
}

/** Gives an existing directory the owner, mode, times and attributes of another, overlayfs' marks left out. */
export function copyDirectoryAttributes(source: Path, target: Path): void {
  using from = Descriptor.ofDirectory(source)
  using to = Descriptor.ofDirectory(target)
  copyAttributes(to.fd, xattrPath(from.fd, dot), statx(from.fd, '', AT_EMPTY_PATH), undefined)
}

export function mtimeOf(stat: Stat): bigint {
  return BigInt(stat.mtimeSec) * nanoseconds + BigInt(stat.mtimeNsec)
}

export function atimeOf(stat: Stat): bigint {
  return BigInt(stat.atimeSec) * nanoseconds + BigInt(stat.atimeNsec)
}
