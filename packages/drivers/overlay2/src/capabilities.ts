import type { Capabilities } from '@graphdriver/core'
import type { LayerQuota } from '@graphdriver/quota'
import { getpagesize, hasCapability, hasSelinux, inUserNamespace } from '@graphdriver/sys'
import { maximumDepth, type OverlayHost } from '@graphdriver/sys/overlayfs'

export function capabilitiesOf(host: OverlayHost, limits: LayerQuota): Capabilities {
  const mapped = inUserNamespace()
  return {
    sharing: 'files',
    diff: host.nativeDiff,
    copyUp: 'file',
    maxDepth: depthOf(host),
    timestamps: 'nanoseconds',
    names: 'bytes',
    hardLinks: true,
    xattrs: 'all',
    deviceNodes: !mapped && hasCapability('CAP_MKNOD'),
    ownership: mapped ? 'mapped' : 'any',
    quota: limits.degree,
    inodeQuota: limits.degree !== 'none',
    mappedOwners: !mapped && host.program === undefined,
    mountLabel: host.program === undefined && hasSelinux(),
  }
}

/** A program is told of a stack in one argument (execve(2): 128 KiB), which the kernel's own bound always fits in. */
function depthOf({ program, appendsLower }: OverlayHost): number {
  return maximumDepth({ pageSize: getpagesize(), appendsLower: appendsLower || program !== undefined })
}
