import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { type Driver, type DriverHost, GraphDriverError, type Probe } from '@graphdriver/core'
import { windowsLayers } from '@graphdriver/sys/windows'
import type { WindowsOptions } from '../options.ts'
import { HcsDriver } from './driver.ts'
import { factsAt, refusalOf } from './host.ts'
import { finishRemovals } from './removal.ts'

/** Docker's directory, so that each can use what the other has made. */
function homeAt(root: string): string {
  return path.join(root, 'windowsfilter')
}

export async function probeHcs({ root }: DriverHost<WindowsOptions>): Promise<Probe> {
  return (
    refusalOf(homeAt(root), factsAt(root)) ?? {
      supported: true,
      notes: ['layers by Windows’ own calls (vmcompute.dll)'],
    }
  )
}

/** @throws GD_DRIVER_UNSUPPORTED */
export async function openHcs({ root }: DriverHost<WindowsOptions>): Promise<Driver> {
  const home = homeAt(root)
  const refusal = refusalOf(home, factsAt(root))
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
  const layers = windowsLayers()
  await finishRemovals(layers, home)
  return new HcsDriver(home, layers)
}
