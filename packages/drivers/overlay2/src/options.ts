import { type DriverOptions, parseBoolean, rejectSize, rejectUnknownOptions } from '@graphdriver/core'

/** overlay2 has nothing to choose: what the host can do is found out, not configured. */
export type Overlay2Options = Readonly<Record<never, never>>

/**
 * `override_kernel_check` is accepted and without effect, as in Docker 20.10, so that its configurations open here.
 *
 * @throws GD_INVALID_OPTION
 */
export function parseOptions(options: DriverOptions): Overlay2Options {
  rejectSize('overlay2', options)
  rejectUnknownOptions('overlay2', options, ['override_kernel_check'])
  const override = options['override_kernel_check']
  if (override !== undefined) parseBoolean('override_kernel_check', override)
  return {}
}

/** @throws GD_INVALID_OPTION for whatever is given: there are no options per layer */
export function checkStorageOptions(id: string, options: DriverOptions | undefined): void {
  if (options === undefined) return
  rejectSize(`layer ${id}`, options)
  rejectUnknownOptions(`overlay2: layer ${id}`, options, [])
}
