/** One driver of a root with what it holds, beside another. */
import {
  type Driver,
  type DriverDefinition,
  GraphDriverError,
  hostOf,
  loadDriver,
  openReadOnly,
  probeDriver,
} from '@graphdriver/core'
import { ofDriver } from '../driver-options.ts'
import type { Invocation } from '../invocation.ts'
import type { Resources } from '../resources.ts'
import { openStores, type Stores } from '../stores.ts'

export interface Side {
  readonly driver: Driver
  readonly stores: Stores
}

export async function openSide(
  { settings, signal }: Invocation,
  open: Resources,
  name: string,
  readOnly: boolean,
): Promise<Side> {
  const { root, driverOptions: options, durability, limits } = settings
  const definition = await loadDriver(name)
  await requireServing({ settings }, definition)
  const host = hostOf(definition, { root, options: ofDriver(options, name) })
  // What is only read is mounted nowhere that would outlive this process.
  const driver = open.use(await (readOnly ? openReadOnly(definition, host) : definition.open(host)))
  const stores = open.use(await openStores({ root, driver, readOnly, durability, limits, signal }))
  return { driver, stores }
}

export async function requireServing(
  { settings: { root, driverOptions } }: Pick<Invocation, 'settings'>,
  definition: DriverDefinition,
): Promise<void> {
  const { name } = definition
  const probe = await probeDriver(definition, { root, options: ofDriver(driverOptions, name) })
  if (probe.supported) return
  const remedy = probe.hint === undefined ? '' : `; ${probe.hint}`
  throw new GraphDriverError(
    'GD_DRIVER_UNSUPPORTED',
    `driver ${name} cannot serve ${root}: ${probe.reason}${remedy}`,
    { driver: name, reason: probe.code, hint: probe.hint },
  )
}

/** What kinds of quotas drivers have whose layers are in pools. */
export const pools: ReadonlySet<string> = new Set(['dataset', 'device'])
