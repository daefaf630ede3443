/**
 * Where layers are mounted. The directories are there as long as the layers are: on a pool that is full, none could be made
 * for a layer that is to be read.
 */
import { mkdirSync, readdirSync, renameSync, rmdirSync } from 'node:fs'
import path from 'node:path'
import { randomBytes } from 'node:crypto'
import { isSystemError } from '@graphdriver/sys'

const newPrefix = '.graphdriver-'

/** Success when it is there. */
export function makeMountPoint(target: string): void {
  mkdirSync(target, { recursive: true, mode: 0o755 })
}

/** One that will not go does no harm: the next mount uses it. */
export function removeMountPoint(target: string): void {
  try {
    rmdirSync(target)
  } catch (error) {
    if (!isSystemError(error, 'ENOENT', 'ENOTDIR', 'EBUSY', 'ENOTEMPTY')) throw error
  }
}

/** Puts another directory in its place, which ends copies of the mount in other namespaces; without room, it stays. */
export function renewMountPoint(target: string): void {
  const next = path.join(path.dirname(target), `${newPrefix}${randomBytes(8).toString('hex')}`)
  try {
    mkdirSync(next, { mode: 0o755 })
  } catch (error) {
    if (isSystemError(error, 'ENOSPC') || isFull(error)) return
    throw error
  }
  try {
    renameSync(next, target)
  } catch (error) {
    removeMountPoint(next)
    if (!isSystemError(error, 'ENOTDIR', 'EBUSY', 'ENOTEMPTY')) throw error
  }
}

/** EDQUOT, which Node has no name for. */
function isFull(error: unknown): boolean {
  return error instanceof Error && 'errno' in error && error.errno === -122
}

/** What a process left that died in between. */
export function reapMountPoints(directory: string): void {
  for (const name of readdirSync(directory))
    if (name.startsWith(newPrefix)) removeMountPoint(path.join(directory, name))
}
