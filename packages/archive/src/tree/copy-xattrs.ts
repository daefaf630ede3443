import { fgetxattr, isSystemError, lgetxattr } from '@graphdriver/sys'
import { listOpenXattrs, listXattrs } from './portable-xattrs.ts'

/** Which of overlayfs' own marks are part of what is copied. */
export type OverlayXattrs = 'trusted' | 'user' | undefined

/**
 * A copy stays on this host, so all attributes go along but two kinds: SELinux labels, which the policy gives anew,
 * and overlayfs' marks, which describe a place in a stack; of those only "opaque" on request.
 */
function isCopied(name: string, overlay: OverlayXattrs): boolean {
  if (name === 'security.selinux') return false
  if (overlay !== undefined && name === `${overlay}.overlay.opaque`) return true
  return !name.startsWith('trusted.overlay.') && !name.startsWith('user.overlay.')
}

/**
 * What the filesystem of the copy cannot hold, or a user namespace may not set, is left out.
 *
 * @param source a path, or an open file
 */
export function copyXattrs(
  source: Buffer | number,
  set: (name: string, value: Buffer) => void,
  overlay: OverlayXattrs,
): void {
  const isOpen = typeof source === 'number'
  for (const name of isOpen ? listOpenXattrs(source) : listXattrs(source)) {
    if (!isCopied(name, overlay)) continue
    const value = isOpen ? fgetxattr(source, name) : lgetxattr(source, name)
    if (value === undefined) continue
    try {
      set(name, value)
    } catch (error) {
      if (!isSystemError(error, 'ENOTSUP', 'EOPNOTSUPP', 'EPERM')) throw error
    }
  }
}
