import { type DriverOptions, rejectSize, rejectUnknownOptions } from '@graphdriver/core'

/** overlay has nothing to choose: what the host can do is found out, not configured. */
export type LegacyOverlayOptions = Readonly<Record<never, never>>

/** @throws GD_INVALID_OPTION */
export function parseOptions(options: DriverOptions): LegacyOverlayOptions {
  rejectSize('overlay', options)
  rejectUnknownOptions('overlay', options, [])
  return {}
}

/** @throws GD_INVALID_OPTION for whatever is given: there are no options per layer */
export function checkStorageOptions(id: string, options: DriverOptions | undefined): void {
  if (options === undefined) return
  rejectSize(`layer ${id}`, options)
  rejectUnknownOptions(`overlay: layer ${id}`, options, [])
}
