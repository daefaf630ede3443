import { rmSync } from 'node:fs'
import type { DriverHost, Probe } from '@graphdriver/core'
import { abandonedScratch, existingAncestors } from '@graphdriver/sys'
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

/** Removes what probes left that were killed: in the home or anywhere above, where the nearest directory was then. */
export function reapProbes(home: string): void {
  for (const directory of existingAncestors(home)) {
    for (const abandoned of abandonedScratch(directory, 'probe', process.geteuid?.())) {
      rmSync(abandoned.path, { recursive: true, force: true })
    }
  }
}

/** The home, or what is there of the way to it: the filesystem on which it would be made. */
export function nearestDirectory(home: string): string {
  return existingAncestors(home)[0] ?? '/'
}
