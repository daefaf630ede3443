import { existsSync, realpathSync, rmdirSync } from 'node:fs'
import { constants } from 'node:os'
import path from 'node:path'
import { MNT } from './constants.ts'
import { isSystemError, SystemError } from './error.ts'
import { checked, cstring, libc, type Path } from './libc.ts'
import { readMountTable } from './mount-table.ts'
import { getpagesize } from './process.ts'
import { lstatx } from './stat.ts'

/** What to mount, and where. */
export interface MountRequest {
  /** A device, a directory to bind, or any word for what has neither. */
  readonly source: Path
  readonly target: Path
  /** Filesystem type; absent for bind mounts and changes of propagation. */
  readonly type?: string | undefined
  /** Bits of `MS`. */
  readonly flags?: number | undefined
  /** The filesystem's own options, comma-separated; at most a page, NUL included. */
  readonly data?: Path | undefined
}

/**
 * mount(2).
 *
 * @throws SystemError E2BIG when `data` is longer than the page that the kernel reads: it would drop the rest silently
 */
export function mount(request: MountRequest): void {
  const { source, target, type, flags, data } = request
  const c = libc('mount')
  if (data !== undefined && Buffer.byteLength(data) >= getpagesize()) {
    const note = `the options take ${Buffer.byteLength(data)} bytes, at most ${getpagesize() - 1} fit`
    throw new SystemError(constants.errno.E2BIG, { syscall: 'mount', path: target.toString(), note })
  }
  const result = c.mount(
    cstring(source),
    cstring(target),
    type === undefined ? null : cstring(type),
    flags ?? 0,
    data === undefined ? null : cstring(data),
  )
  checked(result, 'mount', source, target)
}

/** umount2(2) with bits of `MNT`. @throws SystemError EINVAL when nothing is mounted there */
export function umount(target: Path, flags = 0): void {
  checked(libc('umount2').umount2(cstring(target), flags), 'umount2', target)
}

/** Unmounts, even while somebody is inside. Not mounted is success: it may have gone with another, or another covers it. */
export function detach(target: string): void {
  try {
    umount(target, MNT.DETACH | MNT.NOFOLLOW)
  } catch (error) {
    if (!isSystemError(error, 'EINVAL', 'ENOENT')) throw error
  }
}

/** A mount point that will not go does no harm: the next mount uses it. */
export function removeMountPoint(target: string): void {
  try {
    rmdirSync(target)
  } catch (error) {
    if (!isSystemError(error, 'ENOENT', 'ENOTDIR', 'EBUSY', 'ENOTEMPTY')) throw error
  }
}

/**
 * Unmounts, as `detach` does, and removes the mount point: that makes the kernel drop the mount from other mount namespaces
 * too (Linux commit 8ed936b5671b).
 */
export function unmountAndRemove(target: string): void {
  detach(target)
  removeMountPoint(target)
}

/** Whether something is mounted exactly at `path`, which is not followed; false when the path does not exist. */
export function isMountPoint(path: string): boolean {
  try {
    const known = lstatx(path).mountRoot
    if (known !== undefined) return known
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return false
    throw error
  }
  const target = canonical(path)
  return readMountTable().some((entry) => entry.target === target)
}

/** A mount that others cover may need as many rounds as there are covers. */
const rounds = 32

/** Detaches everything that is mounted at or below `target`, deepest first. Nothing mounted is success. */
export function unmountTree(target: string): void {
  const top = canonical(target)
  const below = top === '/' ? top : `${top}/`
  for (let round = 0; round < rounds; round++) {
    const found = readMountTable().filter((entry) => entry.target === top || entry.target.startsWith(below))
    if (found.length === 0) return
    // The table's order says nothing about depth once a mount has been moved.
    found.sort((a, b) => b.target.length - a.target.length || b.id - a.id)
    for (const entry of found) detach(entry.target)
  }
  umount(top, MNT.NOFOLLOW)
}

/** The path as the mount table has it. Its last part is not looked at: it may be a FUSE mount whose server is gone. */
function canonical(file: string): string {
  const absolute = path.resolve(file)
  const parent = path.dirname(absolute)
  if (parent === absolute) return absolute
  try {
    return path.join(realpathSync(parent), path.basename(absolute))
  } catch {
    return absolute
  }
}

/** How mount(2) is told of the context of what is mounted, in its comma-separated options. */
export function contextOption(label: string): string {
  return `context="${label}"`
}

/** Whether SELinux is on, so that a mount can have a context. */
export function hasSelinux(): boolean {
  return existsSync('/sys/fs/selinux/enforce')
}
