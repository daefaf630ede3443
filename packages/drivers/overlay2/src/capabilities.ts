import { existsSync } from 'node:fs'
import type { Capabilities } from '@graphdriver/core'
import type { LayerQuota } from '@graphdriver/quota'
import { getpagesize, hasCapability, inUserNamespace } from '@graphdriver/sys'
import { maximumDepth, type OverlayHost } from '@graphdriver/sys/overlayfs'

export function capabilitiesOf(host: OverlayHost, limits: LayerQuota): Capabilities {
  const mapped = inUserNamespace()
  return {
    sharing: 'files',
    diff: host.nativeDiff,
    copyUp: 'file',
    maxDepth: maximumDepth({ pageSize: getpagesize(), appendsLower: host.appendsLower }),
    timestamps: 'nanoseconds',
    xattrs: 'all',
    deviceNodes: !mapped && hasCapability('CAP_MKNOD'),
    ownership: mapped ? 'mapped' : 'any',
    quota: limits.degree,
    inodeQuota: limits.degree !== 'none',
    mountLabel: existsSync('/sys/fs/selinux/enforce'),
  }
}
