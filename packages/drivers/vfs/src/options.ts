import { type DriverOptions, GraphDriverError, rejectUnknownOptions } from '@graphdriver/core'

/** vfs has nothing to choose. */
export type VfsOptions = Readonly<Record<never, never>>

/** @throws GD_INVALID_OPTION */
export function parseOptions(options: DriverOptions): VfsOptions {
  refuseSize('vfs', options)
  rejectUnknownOptions('vfs', options, [])
  return {}
}

/** @throws GD_INVALID_OPTION for whatever is given: there are no options per layer */
export function checkStorageOptions(id: string, options: DriverOptions | undefined): void {
  if (options === undefined) return
  refuseSize(`layer ${id}`, options)
  rejectUnknownOptions(`vfs: layer ${id}`, options, [])
}

/** Ignoring a limit would be worse than refusing it. */
function refuseSize(subject: string, options: DriverOptions): void {
  const value = options['size']
  if (value === undefined) return
  throw new GraphDriverError(
    'GD_INVALID_OPTION',
    `${subject}: option 'size' needs project quotas, which this driver does not set yet; leave it out, ` +
      'or limit the volume that holds the data root',
    { option: 'size', value },
  )
}
