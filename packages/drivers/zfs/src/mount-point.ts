/**
 * Where layers are mounted. The directories are there as long as the layers are: on a pool that is full, none could be made
 * for a layer that is to be read.
 */
import { randomBytes } from 'node:crypto'
import { readdirSync, renameSync } from 'node:fs'
import path from 'node:path'
import { AT_FDCWD, isSystemError, mkdirat, removeMountPoint } from '@graphdriver/sys'

const newPrefix = '.graphdriver-'

/** Success when it is there. */
export function makeMountPoint(target: string): void {
  try {
    mkdirat(AT_FDCWD, target, 0o755)
  } catch (error) {
    if (!isSystemError(error, 'EEXIST')) throw error
  }
}

/** Puts another directory in its place, which ends copies of the mount in other namespaces; without room, it stays. */
export function renewMountPoint(target: string): void {
  const next = path.join(path.dirname(target), `${newPrefix}${randomBytes(8).toString('hex')}`)
  try {
    mkdirat(AT_FDCWD, next, 0o755)
  } catch (error) {
    if (isSystemError(error, 'ENOSPC', 'EDQUOT')) return
    throw error
  }
  try {
    renameSync(next, target)
  } catch (error) {
    removeMountPoint(next)
    if (!isSystemError(error, 'ENOTDIR', 'EBUSY', 'ENOTEMPTY')) throw error
  }
}

/** What a process left that died in between. */
export function reapMountPoints(directory: string): void {
  for (const name of readdirSync(directory))
    if (name.startsWith(newPrefix)) removeMountPoint(path.join(directory, name))
}
