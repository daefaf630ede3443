import type { Capabilities } from '@graphdriver/core'
import type { LayerQuota } from '@graphdriver/quota'
import { hasCapability, hasSelinux, inUserNamespace } from '@graphdriver/sys'
import type { OverlayHost } from '@graphdriver/sys/overlayfs'

export function capabilitiesOf(host: OverlayHost, limits: LayerQuota): Capabilities {
  const mapped = inUserNamespace()
  return {
    sharing: 'files',
    diff: host.nativeDiff,
    copyUp: 'file',
    maxDepth: Number.POSITIVE_INFINITY,
    timestamps: 'nanoseconds',
    names: 'bytes',
    hardLinks: true,
    xattrs: 'all',
    deviceNodes: !mapped && hasCapability('CAP_MKNOD'),
    ownership: mapped ? 'mapped' : 'any',
    quota: limits.degree,
    inodeQuota: limits.degree !== 'none',
    mappedOwners: !mapped && host.program === undefined,
    mountLabel: hasSelinux(),
  }
}
