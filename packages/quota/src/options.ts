import { type DriverOptions, GraphDriverError, parseQuota, type Quota } from '@graphdriver/core'

/** What a driver is told about the limits of its layers. */
export interface QuotaOptions {
  /** For containers' layers that are made without limits of their own. */
  readonly byDefault: Quota
  /**
   * `filesystem`, the default: only where the filesystem itself counts. `loop`: elsewhere a layer with a size gets a
   * filesystem in a file of that size, which costs a loop device and a mount while it is in use.
   */
  readonly means: 'filesystem' | 'loop'
}

/** The driver options that `parseQuotaOptions` reads. */
export const quotaOptionNames: readonly string[] = ['size', 'inodes', 'quota']

/** @throws GD_INVALID_OPTION */
export function parseQuotaOptions(driver: string, options: DriverOptions): QuotaOptions {
  const means = options['quota'] ?? 'filesystem'
  if (means !== 'filesystem' && means !== 'loop') {
    throw new GraphDriverError(
      'GD_INVALID_OPTION',
      `${driver}: option 'quota' is '${means}'; it is 'filesystem' or 'loop'`,
      { option: 'quota', value: means },
    )
  }
  return { byDefault: parseQuota(driver, options), means }
}
