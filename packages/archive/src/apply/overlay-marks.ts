/**
 * Deletions as overlayfs reads them: a character device 0:0 in the place of what is gone, and an attribute on a
 * directory that nothing below is to show in. The kernel follows them with two exceptions, which are dealt with here:
 *
 * - In a directory that has nothing to merge with, it lists the devices as files that cannot be found. A device is
 *   left out where there is nothing to hide.
 * - On the root of a layer it does not look at the attribute. There, what is below is hidden name by name.
 *
 * @see https://docs.kernel.org/filesystems/overlayfs.html "Whiteouts and opaque directories"
 */
import { AT_SYMLINK_NOFOLLOW, fchownat, fsetxattr, isSystemError, mknodat, S, statx } from '@graphdriver/sys'
import type { Directory } from './directory.ts'
import type { DirectoryTree } from './directory-tree.ts'
import { pathBytes } from './entry-path.ts'
import { isOverlayWhiteout } from '../tree/overlay-whiteout.ts'
import type { Lower, LowerLayers } from './lower-layers.ts'
import { listNames, removeName } from './removal.ts'

const yes = Buffer.from('y')

export class OverlayMarks {
  readonly #tree: DirectoryTree
  readonly #xattr: string
  readonly #lowers: LowerLayers | undefined

  /** @param lowers what is below, where it is known */
  constructor(tree: DirectoryTree, xattr: string, lowers: LowerLayers | undefined) {
    this.#tree = tree
    this.#xattr = xattr
    this.#lowers = lowers
  }

  /** What a name that is not in this layer is in those below. */
  lower(parent: Directory, name: string): Lower | undefined {
    return parent.hidesLower ? undefined : this.#lowers?.find(parent, name)
  }

  /** Hides a name, which is free, if there may be something to hide. */
  whiteout(parent: Directory, name: string, uid = 0, gid = 0): void {
    if (parent.hidesLower) return
    if (this.#lowers !== undefined && this.#lowers.find(parent, name) === undefined) return
    const fd = this.#tree.fd(parent)
    mknodat(fd, pathBytes(name), S.IFCHR, 0n)
    parent.own(name)
    try {
      fchownat(fd, pathBytes(name), uid, gid, AT_SYMLINK_NOFOLLOW)
    } catch (error) {
      // Nobody asks whose a whiteout is; an owner that is not mapped here is no reason to fail.
      if (!isSystemError(error, 'EINVAL', 'EPERM')) throw error
    }
  }

  isWhiteout(parent: Directory, name: string): boolean {
    if (!parent.owns(name)) return false
    try {
      return isOverlayWhiteout(statx(this.#tree.fd(parent), pathBytes(name), AT_SYMLINK_NOFOLLOW))
    } catch (error) {
      if (isSystemError(error, 'ENOENT')) return false
      throw error
    }
  }

  /** Hides all that is below in a directory. */
  opaque(directory: Directory): void {
    fsetxattr(this.#tree.fd(directory), this.#xattr, yes)
    if (directory === this.#tree.root) this.#hideNames(directory)
    else {
      directory.opaque = true
      this.#dropWhiteouts(directory)
    }
  }

  #hideNames(root: Directory): void {
    const mine = new Set(listNames(this.#tree, root))
    for (const name of this.#lowers?.namesInRoots() ?? []) {
      const child = root.child(name)
      if (child !== undefined) this.opaque(child)
      else if (!mine.has(name)) this.whiteout(root, name)
    }
  }

  #dropWhiteouts(directory: Directory): void {
    for (const name of listNames(this.#tree, directory)) {
      const child = directory.child(name)
      if (child !== undefined) this.#dropWhiteouts(child)
      else if (this.isWhiteout(directory, name)) removeName(this.#tree, directory, name)
    }
  }
}
