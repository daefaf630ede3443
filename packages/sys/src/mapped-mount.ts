/** Mounts that show files with other owners than the disk has (idmapped mounts, Linux 5.12): nothing is copied nor changed. */
import { closeSync } from 'node:fs'
import path from 'node:path'
import { AT_EMPTY_PATH, AT_FDCWD, MOUNT_ATTR, OPEN_TREE } from './constants.ts'
import { holdDirectory } from './directory-lock.ts'
import { mountSetattr, moveMount, openTree } from './mount-api.ts'
import { isMountPoint, unmountAndRemove } from './mount.ts'
import { type IdRanges, withUserNamespace } from './user-namespace.ts'

/**
 * The mount that `directory` is on, from there on and without what is mounted below, mapped and attached nowhere.
 *
 * @returns a descriptor
 * @throws SystemError EINVAL of a filesystem that cannot be mapped, EPERM without CAP_SYS_ADMIN over it, ENOSYS of an older kernel
 */
export function openMapped(directory: string, ids: IdRanges): Promise<number> {
  return withUserNamespace(ids, (userNamespace) => {
    const tree = openTree(AT_FDCWD, directory, OPEN_TREE.CLONE)
    try {
      mountSetattr(tree, '', AT_EMPTY_PATH, { set: MOUNT_ATTR.IDMAP, userNamespace })
      return tree
    } catch (error) {
      closeSync(tree)
      throw error
    }
  })
}

/**
 * Mounts a directory at another, which exists, unless something is mounted there.
 *
 * @returns whether this call mounted it
 * @throws as `openMapped`
 */
async function mountMapped(source: string, target: string, ids: IdRanges): Promise<boolean> {
  const tree = await openMapped(source, ids)
  try {
    using _ = holdDirectory(path.dirname(target))
    if (isMountPoint(target)) return false
    moveMount(tree, target)
    return true
  } finally {
    closeSync(tree)
  }
}

/** For core's `MappedViews`. */
export const mappedMounts: {
  readonly isMounted: (target: string) => boolean
  readonly mount: (source: string, target: string, ids: IdRanges) => Promise<boolean>
  readonly unmount: (target: string) => void
} = { isMounted: isMountPoint, mount: mountMapped, unmount: unmountAndRemove }
