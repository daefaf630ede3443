import type { Capabilities } from '@graphdriver/core'
import type { LayerQuota } from '@graphdriver/quota'
import { hasCapability, hasSelinux, inUserNamespace } from '@graphdriver/sys'
import type { Engine } from './engine.ts'

/** The most branches that aufs takes, the one that is written to included (CONFIG_AUFS_BRANCH_MAX_127). */
export const maximumBranches = 127

/** The same depth with either engine, so that a host may change from one to the other. */
export function capabilitiesOf(engine: Engine, limits: LayerQuota): Capabilities {
  const mapped = inUserNamespace()
  return {
    sharing: 'files',
    diff: engine.nativeDiff,
    copyUp: 'file',
    maxDepth: maximumBranches,
    timestamps: 'nanoseconds',
    names: 'bytes',
    hardLinks: true,
    xattrs: 'all',
    deviceNodes: !mapped && hasCapability('CAP_MKNOD'),
    ownership: mapped ? 'mapped' : 'any',
    quota: limits.degree,
    inodeQuota: limits.degree !== 'none',
    mappedOwners: false,
    mountLabel: hasSelinux(),
  }
}
