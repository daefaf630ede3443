import type { DriverHost, Probe } from '@graphdriver/core'
import { examineHost } from './host.ts'
import type { Overlay2Options } from './options.ts'

/** Tries a mount in the home or, before there is one, in the nearest directory above it. */
export async function probe(host: DriverHost<Overlay2Options>): Promise<Probe> {
  const found = await examineHost(host.home, host.options)
  if (!found.supported) return found
  const notes = [`layers on ${found.backing}`]
  if (found.program !== undefined) notes.push(`mounted by ${found.program}, which is slower than the kernel`)
  else if (!found.appendsLower) notes.push('at most 128 layers; Linux 6.7 or later stacks 500')
  if (!found.nativeDiff.native) notes.push(`diffs compare whole trees: ${found.nativeDiff.reason}`)
  return { supported: true, notes }
}
