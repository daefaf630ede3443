/**
 * Says that a writable layer is in use by a running process: a locked file `<root>/.graphdriver/in-use/<name>`. The
 * kernel unlocks it however that process ends; so a file that is there and not locked tells of one that was killed.
 */
import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises'
import path from 'node:path'
import { parseMountName } from '@graphdriver/layer-store'
import { flock, isSystemError, namesIn } from '@graphdriver/sys'

/** What is to become of the layer when the process that used it is gone: `remove` where it cannot do so itself. */
export type Fate = 'keep' | 'remove'

function shelfOf(root: string): string {
  return path.join(root, '.graphdriver', 'in-use')
}

/**
 * Claims a layer; `undefined` when another process has. Disposing it lets go. Only with the store locked.
 *
 * @throws GD_INVALID_ID before anything is touched: the name becomes a file's
 */
export async function claim(root: string, name: string, fate: Fate): Promise<AsyncDisposable | undefined> {
  const file = path.join(shelfOf(root), parseMountName(name))
  await mkdir(shelfOf(root), { recursive: true, mode: 0o700 })
  const handle = await lockedFile(file)
  if (handle === undefined) return undefined
  try {
    await handle.truncate()
    await handle.write(`${fate}\n`, 0)
  } catch (error) {
    await letGo(file, handle)
    throw error
  }
  return { [Symbol.asyncDispose]: () => letGo(file, handle) }
}

async function lockedFile(file: string): Promise<FileHandle | undefined> {
  for (;;) {
    const handle = await open(file, constants.O_RDWR | constants.O_CREAT, 0o600)
    const locked = flock(handle.fd, 'exclusive', { nonblocking: true })
    // Whoever had it may have removed the file between the two calls; a lock on what has no name says nothing.
    if (locked && (await handle.stat()).nlink > 0) return handle
    await handle.close()
    if (!locked) return undefined
  }
}

async function letGo(file: string, handle: FileHandle): Promise<void> {
  await rm(file, { force: true })
  await handle.close()
}

/** Whether a running process has claimed the layer. */
export async function isClaimed(root: string, name: string): Promise<boolean> {
  await using handle = await openClaim(path.join(shelfOf(root), name))
  return handle !== undefined && !flock(handle.fd, 'shared', { nonblocking: true })
}

/** The layers that were to go with a process that is gone. Only with the store locked. */
export async function abandoned(root: string): Promise<readonly string[]> {
  const names: string[] = []
  for (const name of await namesIn(shelfOf(root))) {
    const file = path.join(shelfOf(root), name)
    await using handle = await openClaim(file)
    if (handle === undefined || !flock(handle.fd, 'shared', { nonblocking: true })) continue
    if ((await handle.readFile('utf8')) === 'remove\n') names.push(name)
    else await rm(file, { force: true })
  }
  return names
}

/** Forgets a claim whose layer has been seen to. */
export async function forgetClaim(root: string, name: string): Promise<void> {
  await rm(path.join(shelfOf(root), name), { force: true })
}

async function openClaim(file: string): Promise<FileHandle | undefined> {
  try {
    return await open(file, constants.O_RDONLY)
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined
    throw error
  }
}
