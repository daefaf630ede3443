/**
 * A daemon of Docker's on the same data root. It knows nothing of our lock; but as long as it lives it has the database of
 * its volumes open, under flock(2) (by bbolt, since Docker 1.9), and it ends when it cannot have that.
 */
import { readFileSync } from 'node:fs'
import { access, open } from 'node:fs/promises'
import path from 'node:path'
import { GraphDriverError } from '@graphdriver/core'
import { flock, isSystemError } from '@graphdriver/sys'

const database = 'volumes/metadata.db'

/**
 * Keeps dockerd out of a data root until it is disposed. Nothing to do where no daemon has ever been.
 *
 * @throws GD_IN_USE while one is alive there
 */
export async function excludeDockerd(root: string): Promise<AsyncDisposable | undefined> {
  const file = path.join(path.resolve(root), database)
  let handle: Awaited<ReturnType<typeof open>>
  try {
    handle = await open(file, 'r')
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  }
  try {
    // Several of ours do not mind each other.
    if (!flock(handle.fd, 'shared', { nonblocking: true })) throw inUse(root, (await handle.stat()).ino)
    return { [Symbol.asyncDispose]: () => handle.close() }
  } catch (error) {
    await handle.close()
    throw error
  }
}

function inUse(root: string, inode: number): GraphDriverError<'GD_IN_USE'> {
  const holder = holderOf(inode)
  const user = holder === undefined ? 'dockerd' : `dockerd (process ${holder})`
  return new GraphDriverError(
    'GD_IN_USE',
    `${path.resolve(root)} is in use by ${user}; stop it to change anything there`,
    { object: path.resolve(root), user },
  )
}

/** As /proc/locks tells: `1: FLOCK  ADVISORY  WRITE 123 fe:00:2146438 0 EOF`. Nobody, for one in another pid namespace. */
function holderOf(inode: number): number | undefined {
  const pattern = new RegExp(`FLOCK +ADVISORY +WRITE +(\\d+) +[0-9a-f]+:[0-9a-f]+:${inode} `)
  const pid = Number(pattern.exec(readFileSync('/proc/locks', 'utf8'))?.[1])
  return pid > 0 ? pid : undefined
}

/**
 * BuildKit inside dockerd keeps driver layers of its own, and image layers that no image has, and names them in a database that
 * only it can read. Where there is one, what nobody names may be its cache.
 */
export async function isSharedWithBuildKit(root: string): Promise<boolean> {
  try {
    await access(path.join(root, 'buildkit'))
    return true
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return false
    throw error
  }
}
