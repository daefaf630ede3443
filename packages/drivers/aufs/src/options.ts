import { type DriverOptions, GraphDriverError, rejectUnknownOptions } from '@graphdriver/core'
import { parseQuotaOptions, type QuotaOptions, quotaOptionNames } from '@graphdriver/quota'

export interface AufsOptions extends QuotaOptions {
  /** Who mounts: aufs itself, overlayfs, or, by default, aufs where the kernel has it. */
  readonly engine: 'auto' | 'kernel' | 'overlay'
}

/** Docker ignores whatever options aufs is given. @throws GD_INVALID_OPTION */
export function parseOptions(options: DriverOptions): AufsOptions {
  rejectUnknownOptions('aufs', options, ['engine', ...quotaOptionNames])
  const engine = options['engine'] ?? 'auto'
  if (engine === 'auto' || engine === 'kernel' || engine === 'overlay')
    return { engine, ...parseQuotaOptions('aufs', options) }
  throw new GraphDriverError(
    'GD_INVALID_OPTION',
    `aufs: option 'engine' is '${engine}'; it is one of auto, kernel, overlay`,
    { option: 'engine', value: engine },
  )
}
