import { mkdirSync } from 'node:fs'
import { type Driver, type DriverHost, GraphDriverError, type Probe } from '@graphdriver/core'
import { windowsLayers } from '@graphdriver/sys/windows'
import type { WindowsOptions } from '../options.ts'
import { HcsDriver } from './driver.ts'
import { factsAt, refusalOf } from './host.ts'
import { finishRemovals } from './removal.ts'

export async function probeHcs({ home, options: { api } }: DriverHost<WindowsOptions>): Promise<Probe> {
  return (
    refusalOf(home, factsAt(home, api)) ?? {
      supported: true,
      notes: [`layers by Windows’ own calls (${api}.dll)`],
    }
  )
}

/** @throws GD_DRIVER_UNSUPPORTED */
export async function openHcs({ home, options: { api } }: DriverHost<WindowsOptions>): Promise<Driver> {
  const refusal = refusalOf(home, factsAt(home, api))
  if (refusal !== undefined)
    throw new GraphDriverError(
      'GD_DRIVER_UNSUPPORTED',
      `windows cannot serve ${home}: ${refusal.reason}; ${refusal.hint}`,
      {
        driver: 'windows',
        reason: refusal.code,
        hint: refusal.hint,
      },
    )
  mkdirSync(home, { recursive: true, mode: 0o700 })
  const layers = windowsLayers(api)
  await finishRemovals(layers, home)
  return new HcsDriver(home, layers)
}
