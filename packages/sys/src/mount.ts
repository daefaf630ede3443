import { constants } from 'node:os'
import { MNT } from './abi.ts'
import { checked, cstring, failure, lastError, libc, type Path } from './libc.ts'
import { readMountTable } from './mount-table.ts'
import { lstatx } from './stat.ts'

export interface MountRequest {
  readonly source: string
  readonly target: Path
  /** Filesystem type; absent for bind mounts and changes of propagation. */
  readonly type?: string | undefined
  /** Bits of `MS`. */
  readonly flags?: number | undefined
  /** The filesystem's own options, comma-separated; at most a page, NUL included. */
  readonly data?: string | undefined
}

/** mount(2). */
export function mount(request: MountRequest): void {
  const { source, target, type, flags, data } = request
  const c = libc('mount')
  const result = c.mount(source, cstring(target), type ?? null, flags ?? 0, data ?? null)
  checked(result, 'mount', source, target)
}

/** umount2(2) with bits of `MNT`. @throws SystemError EINVAL when nothing is mounted there */
export function umount(target: Path, flags = 0): void {
  checked(libc('umount2').umount2(cstring(target), flags), 'umount2', target)
}

/** Whether something is mounted exactly at `path`; false when the path does not exist. */
export function isMountPoint(path: string): boolean {
  try {
    const known = lstatx(path).mountRoot
    return known ?? readMountTable().some((entry) => entry.target === path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR'))
      return false
    throw error
  }
}

/** Detaches everything that is mounted at or below `target`, deepest first. Nothing mounted is success. */
export function unmountTree(target: string): void {
  const below = `${target}/`
  const found = readMountTable().filter((entry) => entry.target === target || entry.target.startsWith(below))
  for (const entry of found.reverse()) {
    const c = libc('umount2')
    if (c.umount2(entry.target, MNT.DETACH | MNT.NOFOLLOW) !== -1) continue
    const errno = lastError('umount2')
    if (errno !== constants.errno.EINVAL && errno !== constants.errno.ENOENT)
      throw failure('umount2', entry.target)
  }
}
