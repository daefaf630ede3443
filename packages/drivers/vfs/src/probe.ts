import type { DriverHost, Probe } from '@graphdriver/core'
import { nearestDirectory, reapProbes } from '@graphdriver/sys'
import { examineHost } from './host.ts'
import type { VfsOptions } from './options.ts'

/** Anything that can be written to can serve. */
export async function probe({ home }: DriverHost<VfsOptions>): Promise<Probe> {
  reapProbes(home)
  const found = examineHost(nearestDirectory(home))
  if (!found.supported) return found
  const cost = found.reflink ? 'copies share their data' : 'every layer is a full copy'
  return { supported: true, notes: [`layers on ${found.backing}: ${cost}`] }
}
