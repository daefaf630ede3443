/** Directories as locks between processes: the kernel drops a lock (flock(2)) when its holder dies, however it dies. */
import { closeSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { O } from './abi.ts'
import { AT_FDCWD } from './constants.ts'
import { isSystemError } from './error.ts'
import { flock, type LockMode } from './file.ts'
import { openat } from './open.ts'

/**
 * Takes an exclusive lock, for a few system calls and never across a wait: it blocks the thread.
 *
 * @returns undefined when there is no such directory
 */
export function holdDirectory(directory: string): Disposable | undefined {
  let fd: number
  try {
    fd = openDirectory(directory)
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined
    throw error
  }
  try {
    flock(fd, 'exclusive')
  } catch (error) {
    closeSync(fd)
    throw error
  }
  return { [Symbol.dispose]: () => closeSync(fd) }
}

/**
 * Takes a lock if it is free.
 *
 * @returns undefined when somebody else holds it
 * @throws SystemError ENOENT when there is no such directory
 */
export function tryLockDirectory(
  directory: string,
  mode: Exclude<LockMode, 'unlock'>,
): Disposable | undefined {
  const fd = openDirectory(directory)
  let held = false
  try {
    held = flock(fd, mode, { nonblocking: true })
  } finally {
    if (!held) closeSync(fd)
  }
  return held ? { [Symbol.dispose]: () => closeSync(fd) } : undefined
}

const longestPause = 20

/**
 * Takes a lock that is held for long, and waits its turn without blocking the thread.
 *
 * @throws the signal's reason; SystemError ENOENT when there is no such directory
 */
export async function lockDirectory(
  directory: string,
  mode: Exclude<LockMode, 'unlock'>,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<Disposable> {
  for (let pause = 1; ; pause = Math.min(2 * pause, longestPause)) {
    signal?.throwIfAborted()
    const lock = tryLockDirectory(directory, mode)
    if (lock !== undefined) return lock
    await setTimeout(pause)
  }
}

function openDirectory(directory: string): number {
  return openat(AT_FDCWD, directory, O.RDONLY | O.DIRECTORY)
}
