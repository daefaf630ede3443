import type { DriverHost, Probe } from '@graphdriver/core'
import { abandonedScratch, existingAncestors } from '@graphdriver/sys'
import { discardProbe, examineHost } from './host.ts'
import type { Overlay2Options } from './options.ts'

/** Tries a mount in the home or, before there is one, in the nearest directory above it. */
export async function probe(host: DriverHost<Overlay2Options>): Promise<Probe> {
  reapProbes(host.home)
  const found = await examineHost(nearestDirectory(host.home))
  if (!found.supported) return found
  const notes = [`layers on ${found.backing}`]
  if (!found.nativeDiff.native) notes.push(`diffs compare whole trees: ${found.nativeDiff.reason}`)
  if (!found.appendsLower) notes.push('at most 128 layers; Linux 6.7 or later stacks 500')
  return { supported: true, notes }
}

/** Removes what probes left that were killed: in the home or anywhere above, where the nearest directory was then. */
export function reapProbes(home: string): void {
  for (const directory of existingAncestors(home)) {
    for (const abandoned of abandonedScratch(directory, 'probe', process.geteuid?.()))
      discardProbe(abandoned.path)
  }
}

/** The home, or what is there of the way to it: the filesystem on which it would be made. */
export function nearestDirectory(home: string): string {
  return existingAncestors(home)[0] ?? '/'
}
