import { type DriverOptions, parseBoolean, rejectUnknownOptions } from '@graphdriver/core'
import { parseQuotaOptions, type QuotaOptions, quotaOptionNames } from '@graphdriver/quota'

/** What the host can do is found out, not configured; what its layers may hold is for its users to say. */
export type Overlay2Options = QuotaOptions

/**
 * `override_kernel_check` is accepted and without effect, as in Docker 20.10, so that its configurations open here.
 *
 * @throws GD_INVALID_OPTION
 */
export function parseOptions(options: DriverOptions): Overlay2Options {
  rejectUnknownOptions('overlay2', options, [...quotaOptionNames, 'override_kernel_check'])
  const override = options['override_kernel_check']
  if (override !== undefined) parseBoolean('override_kernel_check', override)
  return parseQuotaOptions('overlay2', options)
}
