/** Where a driver tries out a filesystem on which its home may not be yet. */
import { existingAncestors } from './directory.ts'
import { abandonedScratch } from './scratch.ts'

/** The home, or what is there of the way to it: the filesystem on which it would be made. */
export function nearestDirectory(home: string): string {
  return existingAncestors(home)[0] ?? '/'
}

/**
 * Discards the scratch directories (`probe`) of probes that were killed: in the home or anywhere above, where the
 * nearest directory was then.
 */
export function reapProbes(home: string, discard: (directory: string) => void): void {
  for (const directory of existingAncestors(home)) {
    for (const abandoned of abandonedScratch(directory, 'probe', process.geteuid?.())) discard(abandoned.path)
  }
}
