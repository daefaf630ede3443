import { type DriverOptions, rejectUnknownOptions } from '@graphdriver/core'

/** There is nothing to choose. */
export type WindowsOptions = Readonly<Record<string, never>>

/** @throws GD_INVALID_OPTION */
export function parseOptions(options: DriverOptions): WindowsOptions {
  rejectUnknownOptions('windows', options, [])
  return {}
}
