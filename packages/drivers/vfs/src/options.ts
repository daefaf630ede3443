import { type DriverOptions, rejectUnknownOptions } from '@graphdriver/core'
import { parseQuotaOptions, type QuotaOptions, quotaOptionNames } from '@graphdriver/quota'

/** vfs has nothing to choose but what its layers may hold. */
export type VfsOptions = QuotaOptions

/** @throws GD_INVALID_OPTION */
export function parseOptions(options: DriverOptions): VfsOptions {
  rejectUnknownOptions('vfs', options, quotaOptionNames)
  return parseQuotaOptions('vfs', options)
}
