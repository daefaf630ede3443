import type { DriverHost, Probe } from '@graphdriver/core'
import { nearestDirectory, reapProbes } from '@graphdriver/sys'
import { discardOverlayProbe, examineOverlay } from '@graphdriver/sys/overlayfs'
import type { Overlay2Options } from './options.ts'

/** Tries a mount in the home or, before there is one, in the nearest directory above it. */
export async function probe(host: DriverHost<Overlay2Options>): Promise<Probe> {
  reapProbes(host.home, discardOverlayProbe)
  const found = await examineOverlay(nearestDirectory(host.home))
  if (!found.supported) return found
  const notes = [`layers on ${found.backing}`]
  if (!found.nativeDiff.native) notes.push(`diffs compare whole trees: ${found.nativeDiff.reason}`)
  if (!found.appendsLower) notes.push('at most 128 layers; Linux 6.7 or later stacks 500')
  return { supported: true, notes }
}
