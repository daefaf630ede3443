import { flistxattr, isSystemError, lgetxattr, listxattrat, llistxattr } from '@graphdriver/sys'
import type { XattrRecord } from '../tar/header.ts'

/** What names an entry to the xattr calls, which take no directory descriptor: procfs follows the descriptor. */
export function xattrPath(directory: number, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`/proc/self/fd/${directory}/`), name])
}

/**
 * Whether an attribute belongs to the file and not to the host: capabilities and what users set. Never
 * `trusted.*` and SELinux labels, which mean something on one host only, nor overlayfs' own marks.
 */
export function isPortable(name: string): boolean {
  return name === 'security.capability' || (name.startsWith('user.') && !name.startsWith('user.overlay.'))
}

const none: readonly XattrRecord[] = []

/** The attributes of an entry (of itself, if a symlink) that a layer carries, sorted by name. */
export function portableXattrs(directory: number, name: Buffer): readonly XattrRecord[] {
  const names = listed(() => listxattrat(directory, name))
  if (names.length === 0) return none
  const path = xattrPath(directory, name)
  const found: XattrRecord[] = []
  for (const attribute of names.filter(isPortable).toSorted()) {
    const value = lgetxattr(path, attribute)
    if (value !== undefined) found.push([attribute, value])
  }
  return found
}

/** All names; none where the filesystem has no attributes or the entry is gone. */
export function listXattrs(path: Buffer): readonly string[] {
  return listed(() => llistxattr(path))
}

/** The same of an open file. */
export function listOpenXattrs(fd: number): readonly string[] {
  return listed(() => flistxattr(fd))
}

function listed(list: () => readonly string[]): readonly string[] {
  try {
    return list()
  } catch (error) {
    if (isSystemError(error, 'ENOTSUP', 'EOPNOTSUPP', 'ENOENT', 'ENOSYS')) return []
    throw error
  }
}

export function sameXattrs(a: readonly XattrRecord[], b: readonly XattrRecord[]): boolean {
  return (
    a.length === b.length &&
    a.every(([name, value], index) => {
      const other = b[index]
      return other !== undefined && other[0] === name && other[1].equals(value)
    })
  )
}

const revisionAt = 3
const revision3Length = 24
const revision2Length = 20

/**
 * File capabilities as a layer carries them. Revision 3 adds the uid that is root in the user namespace of whoever
 * set them; with uid 0 that is nobody's but the host's, and revision 2, which every kernel reads, says the same.
 * With another uid it is kept as it is: cutting it off would give the capability to the host's root.
 *
 * @see linux/capability.h, `struct vfs_ns_cap_data`
 */
export function portableCapability(value: Buffer): Buffer {
  if (value.length !== revision3Length || value[revisionAt] !== 3) return value
  if (value.readUInt32LE(revision2Length) !== 0) return value
  const older = Buffer.from(value.subarray(0, revision2Length))
  older[revisionAt] = 2
  return older
}
