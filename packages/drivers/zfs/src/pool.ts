/** What goes wrong with a pool, and how it is. */
import { GraphDriverError } from '@graphdriver/core'
import { CommandError, isSystemError, run } from '@graphdriver/sys'
import { poolOf, readProperties, syncPool } from '@graphdriver/sys/zfs'

/** `zpool list -H -o health`: one word. @returns undefined where it cannot be asked */
export async function poolHealth(dataset: string): Promise<string | undefined> {
  try {
    return parseHealth((await run('zpool', ['list', '-H', '-o', 'health', poolOf(dataset)])).stdout)
  } catch (error) {
    if (error instanceof CommandError) return undefined
    throw error
  }
}

export function parseHealth(stdout: string): string | undefined {
  return /^[A-Z]+$/.exec(stdout.trim())?.[0]
}

/** Does something in a dataset; what the pool is to blame for is said so. @throws GD_POOL_UNUSABLE, GD_NO_SPACE */
export function inPool<T>(dataset: string, action: () => T): T {
  try {
    return action()
  } catch (error) {
    throw explained(dataset, error)
  }
}

/** So often a pool is asked to finish what was deleted: large files go in the background, over several groups of transactions. */
const patience = 4

/**
 * Does something that takes space. While a pool has not got back yet what was deleted just now it says that it is full: then
 * this waits for it. What is done must be done wholly or not at all.
 *
 * @throws as `inPool`
 */
export function inPoolWhenFree<T>(dataset: string, action: () => T): T {
  return inPool(dataset, () => {
    for (let left = patience; ; left--) {
      try {
        return action()
      } catch (error) {
        if (left === 0 || !isSystemError(error, 'ENOSPC')) throw error
        syncPool(poolOf(dataset))
      }
    }
  })
}

function explained(dataset: string, error: unknown): unknown {
  const pool = poolOf(dataset)
  const unusable = (reason: string, why: string): GraphDriverError =>
    new GraphDriverError('GD_POOL_UNUSABLE', `zfs: pool ${pool} ${why}`, { pool, reason }, { cause: error })
  // ZFS looks at the pool before it does anything.
  if (isSystemError(error, 'EAGAIN'))
    return unusable(
      'suspended',
      `is suspended, since its devices fail: bring them back, then 'zpool clear ${pool}'`,
    )
  if (isSystemError(error, 'EROFS'))
    return unusable('read-only', 'is imported read-only: import it again without')
  if (isSystemError(error, 'EIO')) return unusable('failed', `has failed: see 'zpool status ${pool}'`)
  return isSystemError(error, 'ENOSPC', 'EDQUOT') ? noSpace(dataset, error) : error
}

function noSpace(dataset: string, cause: unknown): GraphDriverError {
  const properties = readProperties(dataset)
  const numberOf = (name: string): number => {
    const value = properties?.get(name)
    return typeof value === 'bigint' ? Number(value) : 0
  }
  const [used, available] = [numberOf('used'), numberOf('available')]
  const pool = poolOf(dataset)
  return new GraphDriverError(
    'GD_NO_SPACE',
    `zfs: ${dataset} has ${available} bytes left: remove layers, or add devices to pool ${pool} (zpool add)`,
    { pool, of: 'data', used, total: used + available },
    { cause },
  )
}
