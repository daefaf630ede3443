import {
  checkQuota,
  type DriverOptions,
  GraphDriverError,
  parseQuota,
  type Quota,
  rejectUnknownOptions,
} from '@graphdriver/core'

export interface ZfsOptions {
  /** The dataset for the layers; by default the one that the data root is on. */
  readonly fsname: string | undefined
}

/** A dataset's name: a pool, then components. */
const nameForm = /^[A-Za-z][A-Za-z0-9_.:-]*(?:\/[A-Za-z0-9_.:-]+)*$/

/** @throws GD_INVALID_OPTION */
export function parseOptions(options: DriverOptions): ZfsOptions {
  rejectUnknownOptions('zfs', options, ['fsname'])
  const fsname = options['fsname']
  if (fsname === undefined || nameForm.test(fsname)) return { fsname }
  throw new GraphDriverError(
    'GD_INVALID_OPTION',
    `zfs: option 'fsname': '${fsname}' is no name of a dataset`,
    {
      option: 'fsname',
      value: fsname,
    },
  )
}

/** What a layer may write, in bytes; undefined for no limit. @throws GD_INVALID_OPTION */
export function sizeOf(id: string, options: DriverOptions | undefined): number | undefined {
  if (options === undefined) return undefined
  rejectUnknownOptions(`zfs: layer ${id}`, options, ['size'])
  return parseQuota(`zfs: layer ${id}`, options).size
}

/** The same of a limit that is to be changed; ZFS does not limit the number of files. @throws GD_INVALID_OPTION */
export function changedSize(id: string, quota: Quota): number | undefined {
  checkQuota(`zfs: layer ${id}`, quota)
  const { size, inodes } = quota
  if (inodes !== undefined) rejectUnknownOptions(`zfs: layer ${id}`, { inodes: String(inodes) }, ['size'])
  return size
}
