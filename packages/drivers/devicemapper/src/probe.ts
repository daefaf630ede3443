import type { DriverHost, Probe } from '@graphdriver/core'
import { examineHost, loopWarning, usesFiles } from './host.ts'
import type { DeviceMapperOptions } from './options.ts'

/** Looks; a pool is made when the home is opened. */
export async function probe({ home, options }: DriverHost<DeviceMapperOptions>): Promise<Probe> {
  const found = examineHost(home, options)
  if (!found.supported) return found
  return {
    supported: true,
    notes: [`device mapper ${found.version}`, ...(usesFiles(home, options) ? [loopWarning] : [])],
  }
}
