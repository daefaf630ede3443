import type { DriverHost, Probe } from '@graphdriver/core'
import { nearestDirectory, reapProbes } from '@graphdriver/sys'
import { examineHost } from './host.ts'
import type { BtrfsOptions } from './options.ts'

/** Makes and deletes a subvolume in the home or, before there is one, in the nearest directory above it. */
export async function probe({ home }: DriverHost<BtrfsOptions>): Promise<Probe> {
  reapProbes(home)
  const found = examineHost(nearestDirectory(home))
  if (!found.supported) return found
  const quota =
    found.quota === true ? 'sizes of layers are limited by quota groups' : 'quotas are not enabled'
  return { supported: true, notes: ['layers are subvolumes', quota] }
}
