import type { DriverHost, Probe } from '@graphdriver/core'
import { nearestDirectory, reapProbes } from '@graphdriver/sys'
import type { WindowsOptions } from '../options.ts'
import { examineHost } from './host.ts'

/** Tries the filesystem of the home. */
export async function probeNtfs({ home }: DriverHost<WindowsOptions>): Promise<Probe> {
  reapProbes(home)
  const found = examineHost(nearestDirectory(home))
  return found.supported ? { supported: true, notes: ['layers on NTFS: every layer is a full copy'] } : found
}
