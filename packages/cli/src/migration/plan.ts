import { statfsSync } from 'node:fs'
import path from 'node:path'
import { GraphDriverError, hasState, hostOf, loadDriver } from '@graphdriver/core'
import { type MigrationPlan, planMigration } from '@graphdriver/image'
import { nearestDirectory } from '@graphdriver/sys'
import { ofDriver } from '../driver-options.ts'
import type { Invocation } from '../invocation.ts'
import { formatBytes } from '../quantity.ts'
import { Resources } from '../resources.ts'
import { planningRoot } from '../workplace.ts'
import { pools, requireServing, type Side } from './side.ts'

export interface Plan extends MigrationPlan {
  readonly from: string
  readonly to: string
  /** Whether the layers will be in a pool, of which the filesystem of the root knows nothing. */
  readonly isPool: boolean
}

/** What the driver can do is asked where it leaves nothing, if it has nothing at the root so far. */
export async function planFor(
  invocation: Invocation,
  { driver: from, stores }: Side,
  to: string,
): Promise<Plan> {
  const { settings, signal } = invocation
  const { root, driverOptions } = settings
  const definition = await loadDriver(to)
  await requireServing(invocation, definition)
  const isThere = await hasState(root, to)
  await using open = new Resources()
  const place = isThere ? root : open.use(await planningRoot(root, to)).path
  const options = ofDriver(driverOptions, to)
  const target = open.use(await definition.open(hostOf(definition, { root: place, options })))
  const plan = await planMigration(stores, target, { signal })
  return { ...plan, from: from.name, to, isPool: pools.has(target.capabilities.quota) }
}

/** @throws GD_MIGRATION_REFUSED */
export function requireSpace(root: string, { from, to, bytes, isPool }: Plan): void {
  if (isPool) return
  // Which may have been mounted for the driver.
  const place = nearestDirectory(path.join(root, to))
  const { bavail, bsize } = statfsSync(place)
  const available = bavail * bsize
  if (bytes <= available) return
  throw new GraphDriverError(
    'GD_MIGRATION_REFUSED',
    `moving from ${from} to ${to} takes about ${formatBytes(bytes)}, and ${place} has ${formatBytes(available)} left; make room there`,
    { from, to, reason: 'space', needed: bytes, available },
  )
}
