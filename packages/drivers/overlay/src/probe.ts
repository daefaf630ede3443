import type { DriverHost, Probe } from '@graphdriver/core'
import { nearestDirectory, reapProbes } from '@graphdriver/sys'
import { examineOverlay } from '@graphdriver/sys/overlayfs'
import type { LegacyOverlayOptions } from './options.ts'

/** Tries a mount in the home or, before there is one, in the nearest directory above it. */
export async function probe({ home }: DriverHost<LegacyOverlayOptions>): Promise<Probe> {
  reapProbes(home)
  const found = await examineOverlay(nearestDirectory(home))
  if (!found.supported) return found
  const notes = [`layers on ${found.backing}`, 'each layer takes an inode for every directory of its image']
  if (!found.nativeDiff.native) notes.push(`diffs compare whole trees: ${found.nativeDiff.reason}`)
  return { supported: true, notes }
}
