import { openCopyingDriver } from '@graphdriver/copying'
import { type Capabilities, type Driver, type DriverHost, GraphDriverError } from '@graphdriver/core'
import { nearestDirectory, reapProbes } from '@graphdriver/sys'
import type { WindowsOptions } from '../options.ts'
import { examineHost, examineToRead } from './host.ts'

/** @throws GD_DRIVER_UNSUPPORTED */
export async function openNtfs({ home, readOnly = false }: DriverHost<WindowsOptions>): Promise<Driver> {
  if (!readOnly) reapProbes(home)
  const host = readOnly ? examineToRead(home) : examineHost(nearestDirectory(home))
  if (!host.supported) {
    throw new GraphDriverError(
      'GD_DRIVER_UNSUPPORTED',
      `windows cannot serve ${home}: ${host.reason}; ${host.hint}`,
      { driver: 'windows', reason: host.code, hint: host.hint },
    )
  }
  // Beside the bundle the thread's file is built; from source, Node runs it as it is.
  const file = import.meta.url.endsWith('.ts') ? './thread.ts' : './ntfs/thread.js'
  return openCopyingDriver({
    name: 'windows',
    home,
    quota: { byDefault: {}, means: 'filesystem-only' },
    workers: { thread: new URL(file, import.meta.url) },
    readOnly,
    status: [
      ['Backing Filesystem', 'ntfs'],
      ['Engine', 'ntfs-3g'],
    ],
    capabilities,
  })
}

function capabilities(quota: Capabilities['quota']): Capabilities {
  return {
    sharing: 'none',
    diff: { native: false, reason: 'a layer on NTFS is a whole tree and has to be compared with its parent' },
    copyUp: 'none',
    maxDepth: Number.POSITIVE_INFINITY,
    timestamps: 'hundreds-of-nanoseconds',
    names: 'unicode',
    hardLinks: true,
    xattrs: 'none',
    deviceNodes: true,
    ownership: 'any',
    quota,
    inodeQuota: quota !== 'none',
    mappedOwners: false,
    mountLabel: false,
  }
}
