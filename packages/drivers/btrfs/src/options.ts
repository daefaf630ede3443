import {
  type DriverOptions,
  GraphDriverError,
  parseSize,
  type Quota,
  rejectUnknownOptions,
} from '@graphdriver/core'

export interface BtrfsOptions {
  /**
   * The least that `size` of a layer may be, in bytes. As in Docker, whoever sets it (0 will do) wants quotas, and they are
   * enabled on the filesystem if they are not.
   */
  readonly minSpace: number | undefined
}

/** @throws GD_INVALID_OPTION */
export function parseOptions(options: DriverOptions): BtrfsOptions {
  rejectUnknownOptions('btrfs', options, ['min_space'])
  const space = options['min_space']
  return { minSpace: space === undefined ? undefined : parseSize('min_space', space) }
}

/**
 * What a layer may write, in bytes; undefined for no limit.
 *
 * @throws GD_INVALID_OPTION
 */
export function sizeOf(
  id: string,
  options: DriverOptions | undefined,
  { minSpace }: BtrfsOptions,
): number | undefined {
  if (options === undefined) return undefined
  rejectUnknownOptions(`btrfs: layer ${id}`, options, ['size'])
  const value = options['size']
  if (value === undefined) return undefined
  return demandLeast(id, parseSize('size', value), { minSpace })
}

/**
 * The same of a limit that is to be changed.
 *
 * @throws GD_INVALID_OPTION, also for a number of inodes, which btrfs does not limit
 */
export function changedSize(id: string, { size, inodes }: Quota, options: BtrfsOptions): number | undefined {
  if (inodes !== undefined) rejectUnknownOptions(`btrfs: layer ${id}`, { inodes: String(inodes) }, ['size'])
  return size === undefined ? undefined : demandLeast(id, size, options)
}

function demandLeast(id: string, size: number, { minSpace = 0 }: BtrfsOptions): number {
  if (size >= Math.max(minSpace, 1)) return size
  const least = minSpace > 0 ? `at least ${minSpace} bytes (btrfs.min_space)` : 'more than nothing'
  throw new GraphDriverError('GD_INVALID_OPTION', `layer ${id}: size ${size} must be ${least}`, {
    option: 'size',
    value: String(size),
  })
}
