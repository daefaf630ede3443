/** Layers that a Docker on this host may have written with `redirect_dir=on`. */
import { lstatSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { isSystemError, lgetxattr } from '@graphdriver/sys'

const slash = Buffer.from('/')

/**
 * Whether a directory in `diff` was renamed by a redirect (`trusted.overlay.redirect`): then what is in it belongs
 * to a lower directory of another name, and `diff` alone does not tell the changes.
 */
export async function hasRedirect(diff: string, signal?: AbortSignal): Promise<boolean> {
  const pending = [Buffer.from(diff)]
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    signal?.throwIfAborted()
    if (lgetxattr(directory, 'trusted.overlay.redirect') !== undefined) return true
    for (const name of await namesIn(directory)) {
      const child = Buffer.concat([directory, slash, name])
      if (lstatSync(child, { throwIfNoEntry: false })?.isDirectory() === true) pending.push(child)
    }
  }
  return false
}

async function namesIn(directory: Buffer): Promise<readonly Buffer[]> {
  try {
    return await readdir(directory, { encoding: 'buffer' })
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return []
    throw error
  }
}
