// @ts-check
import { rmSync } from 'node:fs'
import { existingAncestors, findCommand, makeScratch } from '@graphdriver/sys'

/**
 * Tries what the driver needs. A "no" is an answer with its remedy, never an exception, and nothing is left behind.
 *
 * @param {{ readonly home: string }} host
 * @returns {Promise<import('@graphdriver/core').Probe>}
 */
export async function probe({ home }) {
  if ((await findCommand('cp')) === undefined) {
    return {
      supported: false,
      code: 'no-program',
      reason: 'cp is not installed',
      hint: 'install GNU coreutils',
    }
  }
  // The home may not exist yet; what counts is the filesystem on which it would be made.
  const nearest = existingAncestors(home)[0] ?? '/'
  try {
    using trial = makeScratch(nearest, 'probe', 0o700)
    rmSync(trial.path, { recursive: true })
    return { supported: true, notes: [] }
  } catch (error) {
    const reason = `${nearest} cannot be written: ${String(error)}`
    return { supported: false, code: 'not-writable', reason, hint: 'choose another data root' }
  }
}
