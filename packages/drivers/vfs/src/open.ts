import { type Capabilities, type Driver, type DriverHost, GraphDriverError } from '@graphdriver/core'
import { openCopyingDriver } from '@graphdriver/copying'
import { hasCapability, inUserNamespace, nearestDirectory, reapProbes } from '@graphdriver/sys'
import type { VfsOptions } from './options.ts'
import { type CopyHost, examineHost, hostToRead } from './host.ts'

/** @throws GD_DRIVER_UNSUPPORTED */
export async function openVfs({ home, options, readOnly = false }: DriverHost<VfsOptions>): Promise<Driver> {
  if (!readOnly) reapProbes(home)
  const host = readOnly ? hostToRead(home) : examineHost(nearestDirectory(home))
  if (!host.supported) {
    throw new GraphDriverError(
      'GD_DRIVER_UNSUPPORTED',
      `vfs cannot serve ${home}: ${host.reason}; ${host.hint}`,
      { driver: 'vfs', reason: host.code, hint: host.hint },
    )
  }
  return openCopyingDriver({
    name: 'vfs',
    home,
    quota: options,
    readOnly,
    status: [
      ['Backing Filesystem', host.backing],
      ['Reflink', String(host.reflink)],
    ],
    capabilities: (quota) => capabilitiesOf(host, quota),
  })
}

function capabilitiesOf({ reflink }: CopyHost, quota: Capabilities['quota']): Capabilities {
  const mapped = inUserNamespace()
  return {
    sharing: reflink ? 'extents' : 'none',
    diff: { native: false, reason: 'a layer of vfs is a whole tree and has to be compared with its parent' },
    copyUp: 'none',
    maxDepth: Number.POSITIVE_INFINITY,
    timestamps: 'nanoseconds',
    names: 'bytes',
    hardLinks: true,
    xattrs: 'all',
    deviceNodes: !mapped && hasCapability('CAP_MKNOD'),
    ownership: mapped ? 'mapped' : 'any',
    quota,
    inodeQuota: quota !== 'none',
    mappedOwners: !mapped,
    mountLabel: false,
  }
}
