import { type FileHandle, mkdir, open } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { type CallOptions, GraphDriverError } from '@graphdriver/core'
import { flock, isSystemError } from '@graphdriver/sys'
import { excludeDockerd } from './dockerd.ts'

export interface LockOptions extends CallOptions {
  /** Whether to wait for other holders; by default, as long as it takes. */
  readonly wait?: boolean | undefined
  /** How long to wait at most, in milliseconds. */
  readonly timeout?: number | undefined
  /** Whether nothing is to be made for it: where there is no lock yet, nobody is kept out. */
  readonly readOnly?: boolean | undefined
}

/** Milliseconds between two askings: of who is the next, and of all others, who have the same chance to become that. */
const pauseOf = { lock: 3, 'lock-queue': 25 } as const

/**
 * Locks a data root against other processes: shared with other readers, or exclusively. Disposing it unlocks.
 *
 * The lock is flock(2) on `<root>/.graphdriver/lock`, a name that Docker ignores. The kernel drops it with the
 * process, however that ends, so there are no stale locks. Two locks of one process exclude each other like those of
 * two. dockerd does not know of it, and is kept out by a lock of its own while the root is locked exclusively.
 *
 * Whoever waits does so behind a second lock, `lock-queue`, which who is the next holds: readers that come later do not pass
 * a writer, so that no number of them keeps it out.
 *
 * @throws GD_STORE_LOCKED when others hold it and there is no waiting, or not any longer; GD_IN_USE for an exclusive lock
 *   while a dockerd is alive on the root
 */
export async function lockStore(
  root: string,
  mode: 'shared' | 'exclusive',
  options: LockOptions = {},
): Promise<AsyncDisposable> {
  options.signal?.throwIfAborted()
  const file = await openLock(root, 'lock', mode, options)
  if (file === undefined) return { [Symbol.asyncDispose]: () => Promise.resolve() }
  try {
    const deadline = performance.now() + (options.timeout ?? Number.POSITIVE_INFINITY)
    {
      await using turn =
        options.wait === false ? undefined : await openLock(root, 'lock-queue', mode, options)
      if (turn !== undefined)
        await acquire(turn, {
          ...options,
          root,
          mode: 'exclusive',
          lock: file,
          deadline,
          pause: pauseOf['lock-queue'],
        })
      await acquire(file, { ...options, root, mode, lock: file, deadline, pause: pauseOf.lock })
    }
    const dockerd = mode === 'exclusive' ? await excludeDockerd(root) : undefined
    await note(file, `${process.pid}\n`)
    return new StoreLock(file, dockerd)
  } catch (error) {
    await file.close()
    throw error
  }
}

class StoreLock implements AsyncDisposable {
  #file: FileHandle | undefined
  readonly #dockerd: AsyncDisposable | undefined

  constructor(file: FileHandle, dockerd: AsyncDisposable | undefined) {
    this.#file = file
    this.#dockerd = dockerd
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const file = this.#file
    if (file === undefined) return
    this.#file = undefined
    await this.#dockerd?.[Symbol.asyncDispose]()
    // Closing the only descriptor unlocks; the file stays, since removing it would race with who is opening it.
    await file.close()
  }
}

/** @returns undefined for who only reads, where there is none */
async function openLock(
  root: string,
  name: 'lock' | 'lock-queue',
  mode: 'shared' | 'exclusive',
  { readOnly = false }: LockOptions,
): Promise<FileHandle | undefined> {
  const file = path.join(path.resolve(root), '.graphdriver', name)
  try {
    if (readOnly) return await open(file, 'r')
    await mkdir(path.dirname(file), { recursive: true, mode: 0o700 })
    // Opened for appending so that it is made when missing and not emptied when there: it names its holder.
    return await open(file, 'a+', 0o600)
  } catch (error) {
    if (readOnly && isSystemError(error, 'ENOENT', 'ENOTDIR', 'EACCES')) return undefined
    if (readOnly || mode === 'exclusive' || !isSystemError(error, 'EACCES', 'EROFS')) throw error
    return name === 'lock-queue' ? undefined : open(file, 'r')
  }
}

interface Acquisition extends LockOptions {
  readonly root: string
  readonly mode: 'shared' | 'exclusive'
  /** The file that tells who holds the root, for what is thrown. */
  readonly lock: FileHandle
  readonly deadline: number
  readonly pause: number
}

async function acquire(
  file: FileHandle,
  { root, mode, lock, deadline, pause, wait: waits, signal }: Acquisition,
): Promise<void> {
  for (;;) {
    if (flock(file.fd, mode, { nonblocking: true })) return
    const left = deadline - performance.now()
    if (waits === false || left <= 0) throw await locked(lock, root)
    // Waiting in flock(2) would stop this thread, and nothing could cancel it.
    await abortable(wait(Math.min(pause, left), undefined, { signal }), signal)
  }
}

async function abortable(pause: Promise<unknown>, signal: AbortSignal | undefined): Promise<void> {
  try {
    await pause
  } catch (error) {
    signal?.throwIfAborted()
    throw error
  }
}

/** Tells who holds the lock. Of several readers it is the last to come. */
async function note(file: FileHandle, text: string): Promise<void> {
  try {
    await file.truncate()
    await file.appendFile(text)
  } catch {
    // It is only there for messages: a reader may not be allowed to write, a full disk may have no room for it.
  }
}

async function locked(file: FileHandle, root: string): Promise<GraphDriverError> {
  const holder = await holderOf(file)
  const by = holder === undefined ? 'another process' : `process ${holder}`
  const message = `${path.resolve(root)} is in use by ${by}; wait for it to finish or end it`
  return new GraphDriverError('GD_STORE_LOCKED', message, { root: path.resolve(root) })
}

async function holderOf(file: FileHandle): Promise<number | undefined> {
  const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(32), position: 0 })
  const pid = Number.parseInt(buffer.toString('latin1', 0, bytesRead), 10)
  if (!Number.isSafeInteger(pid) || pid <= 0) return undefined
  try {
    process.kill(pid, 0)
    return pid
  } catch (error) {
    // Somebody else's process is one, too; a process that is gone cannot be the holder.
    return isSystemError(error, 'EPERM') ? pid : undefined
  }
}
