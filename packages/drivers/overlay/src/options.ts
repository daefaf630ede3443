import { type DriverOptions, rejectUnknownOptions } from '@graphdriver/core'
import { parseQuotaOptions, type QuotaOptions, quotaOptionNames } from '@graphdriver/quota'

/** What the host can do is found out, not configured; what its layers may hold is for its users to say. */
export type LegacyOverlayOptions = QuotaOptions

/** @throws GD_INVALID_OPTION */
export function parseOptions(options: DriverOptions): LegacyOverlayOptions {
  rejectUnknownOptions('overlay', options, quotaOptionNames)
  return parseQuotaOptions('overlay', options)
}
