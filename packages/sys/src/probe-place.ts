/** Where a driver tries out a filesystem on which its home may not be yet. */
import { rmSync } from 'node:fs'
import { existingAncestors } from './directory.ts'
import { isSystemError } from './error.ts'
import { unmountTree } from './mount.ts'
import { abandonedScratch, makeScratch } from './scratch.ts'

/** The home, or what is there of the way to it: the filesystem on which it would be made. */
export function nearestDirectory(home: string): string {
  return existingAncestors(home)[0] ?? '/'
}

/** Why nothing could be tried at a place. */
export interface Unwritable {
  readonly supported: false
  readonly code: 'not-writable'
  readonly reason: string
  readonly hint: string
}

/**
 * Tries something out in a directory of its own, and deletes that.
 *
 * @param directory exists
 * @param attempt makes nothing that deleting files would not remove
 * @param hint the remedy where a system call fails
 */
export function tryAt<T>(
  directory: string,
  attempt: (scratch: string) => T,
  hint = 'choose another data root',
): T | Unwritable {
  try {
    using scratch = makeScratch(directory, 'probe', 0o700)
    try {
      return attempt(scratch.path)
    } finally {
      rmSync(scratch.path, { recursive: true, force: true })
    }
  } catch (error) {
    if (!isSystemError(error)) throw error
    const reason = `${directory} cannot be written: ${error.message}`
    return { supported: false, code: 'not-writable', reason, hint }
  }
}

/** Tries to write where a home is, or would be made. Leaves nothing behind. @returns why it cannot be */
export function whyUnwritable(home: string): string | undefined {
  return tryAt(nearestDirectory(home), () => undefined)?.reason
}

/** Unmounts and removes a probe's directory. It is small. */
export function discardProbe(directory: string): void {
  unmountTree(directory)
  rmSync(directory, { recursive: true, force: true })
}

/**
 * Discards the scratch directories (`probe`) of probes that were killed, whichever driver's they were: in the home or anywhere
 * above, where the nearest directory was then.
 */
export function reapProbes(home: string): void {
  for (const directory of existingAncestors(home)) {
    for (const abandoned of abandonedScratch(directory, 'probe', process.geteuid?.()))
      discardProbe(abandoned.path)
  }
}
