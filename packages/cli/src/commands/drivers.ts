import { driverPriority, isGraphDriverError, loadDriver, type Probe, probeDriver } from '@graphdriver/core'
import { ofDriver } from '../driver-options.ts'
import type { Invocation } from '../invocation.ts'
import { requirePrivileges } from '../session.ts'
import { table } from '../table.ts'

export interface ListedDriver {
  readonly name: string
  readonly installed: boolean
  readonly summary: string | undefined
  readonly probe: Probe
}

/** `graphdriver drivers`: which can serve at this root, best first, and why the others cannot. */
export async function drivers(invocation: Invocation): Promise<void> {
  await requirePrivileges(invocation)
  const { settings, output } = invocation
  const found = await probeDrivers(invocation)
  output.result({ root: settings.root, drivers: found }, () =>
    table(['DRIVER', 'SERVES', 'WHY'], found.map(driverRow)),
  )
}

/** All drivers, or the one that is asked for. */
export async function probeDrivers(
  invocation: Pick<Invocation, 'settings'>,
): Promise<readonly ListedDriver[]> {
  const { driver } = invocation.settings
  const found: ListedDriver[] = []
  for (const name of driver === undefined ? driverPriority : [driver])
    found.push(await examine(name, invocation))
  return found
}

async function examine(
  name: string,
  { settings: { root, driverOptions, driver } }: Pick<Invocation, 'settings'>,
): Promise<ListedDriver> {
  try {
    const definition = await loadDriver(name)
    // Options are for one driver; which one is only clear when it is named.
    const options = driver === undefined ? ofDriver(driverOptions, name) : driverOptions
    const probe = await probeDriver(definition, { root, options })
    return { name: definition.name, installed: true, summary: definition.summary, probe }
  } catch (error) {
    if (driver !== undefined || !isGraphDriverError(error, 'GD_DRIVER_NOT_FOUND')) throw error
    const probe: Probe = { supported: false, code: 'not-installed', reason: 'not installed' }
    return { name, installed: false, summary: undefined, probe }
  }
}

export function driverRow({ name, summary, probe }: ListedDriver): readonly string[] {
  if (probe.supported) return [name, 'yes', [summary, ...probe.notes].filter(Boolean).join('; ')]
  const hint = probe.hint === undefined ? '' : `; ${probe.hint}`
  return [name, 'no', `${probe.reason}${hint}`]
}
