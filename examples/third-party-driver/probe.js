// @ts-check
import { accessSync, constants, rmSync } from 'node:fs'
import { existingAncestors, findCommand, makeScratch } from '@graphdriver/sys'

/**
 * Tries what the driver needs. A "no" is an answer with its remedy, never an exception, and nothing is left behind.
 *
 * @param {{ readonly home: string }} host
 * @returns {Promise<import('@graphdriver/core').Probe>}
 */
export async function probe({ home }) {
  if ((await findCommand('fuse-overlayfs')) === undefined)
    return no(
      'no-program',
      'fuse-overlayfs is not installed',
      'install it; on Debian: apt-get install fuse-overlayfs',
    )
  if (!may('/dev/fuse'))
    return no('no-fuse', '/dev/fuse cannot be opened', 'load the fuse module, or run as a user who may')
  // The home may not exist yet; what counts is the filesystem on which it would be made.
  const nearest = existingAncestors(home)[0] ?? '/'
  try {
    using trial = makeScratch(nearest, 'probe', 0o700)
    rmSync(trial.path, { recursive: true })
  } catch (error) {
    return no('not-writable', `${nearest} cannot be written: ${String(error)}`, 'choose another data root')
  }
  return { supported: true, notes: [] }
}

/** @param {string} code @param {string} reason @param {string} hint @returns {import('@graphdriver/core').Probe} */
function no(code, reason, hint) {
  return { supported: false, code, reason, hint }
}

/** @param {string} device */
function may(device) {
  try {
    accessSync(device, constants.R_OK | constants.W_OK)
    return true
  } catch {
    return false
  }
}
