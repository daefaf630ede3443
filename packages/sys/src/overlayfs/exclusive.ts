/**
 * One mount of a stack, whoever asks. Two processes must not mount one upper directory at the same time: the kernel
 * calls what follows undefined.
 */
import { mkdirSync } from 'node:fs'
import { holdDirectory, lockDirectory } from '../directory-lock.ts'
import { isSystemError } from '../error.ts'
import { removeMountPoint, unmountAndRemove } from '../mount.ts'
import type { Stack } from './mount-data.ts'
import { isStackMounted, type MountPoint, mountStack } from './stack.ts'

export interface ExclusiveMountPoint extends MountPoint {
  /** A directory that every process locks (flock(2)) that mounts here: the work directory. It need not be there. */
  readonly lock: string
  /** What has to be done in the work directory before, while nobody uses it. */
  readonly prepare?: (() => void) | undefined
}

/**
 * Mounts a stack at a directory, which is made, unless another process has done so meanwhile.
 *
 * @returns whether this call mounted it
 * @throws as `mountStack` does; then the directory is gone again
 */
export async function mountExclusively(point: ExclusiveMountPoint, stack: Stack): Promise<boolean> {
  const { target, lock, program } = point
  if (program !== undefined) return await mountByProgram(point, stack)
  let mounting: Promise<void>
  {
    using _ = holdDirectory(lock)
    if (isStackMounted(target)) return false
    makeMountPoint(target)
    point.prepare?.()
    // Unless a child process has to do it, the mount is made when this returns.
    mounting = mountStack(point, stack)
  }
  try {
    await mounting
    return true
  } catch (error) {
    removeMountPoint(target)
    throw error
  }
}

/** A program takes its time, and others have to wait for it. */
async function mountByProgram(point: ExclusiveMountPoint, stack: Stack): Promise<boolean> {
  const { target, lock } = point
  using _ = await lockDirectory(lock, 'exclusive')
  if (isStackMounted(target)) return false
  // What a program that died has left would be covered, and come to light again.
  unmountAndRemove(target)
  makeMountPoint(target)
  try {
    point.prepare?.()
    await mountStack(point, stack)
    return true
  } catch (error) {
    removeMountPoint(target)
    throw error
  }
}

/** Unmounts, as `unmountAndRemove` does, while no other process mounts. */
export function unmountExclusively({ target, lock }: Pick<ExclusiveMountPoint, 'target' | 'lock'>): void {
  using _ = holdDirectory(lock)
  unmountAndRemove(target)
}

function makeMountPoint(target: string): void {
  try {
    mkdirSync(target, { mode: 0o700 })
  } catch (error) {
    if (!isSystemError(error, 'EEXIST')) throw error
  }
}
