import { type DriverOptions, rejectSize, rejectUnknownOptions } from '@graphdriver/core'

/** vfs has nothing to choose. */
export type VfsOptions = Readonly<Record<never, never>>

/** @throws GD_INVALID_OPTION */
export function parseOptions(options: DriverOptions): VfsOptions {
  rejectSize('vfs', options)
  rejectUnknownOptions('vfs', options, [])
  return {}
}

/** @throws GD_INVALID_OPTION for whatever is given: there are no options per layer */
export function checkStorageOptions(id: string, options: DriverOptions | undefined): void {
  if (options === undefined) return
  rejectSize(`layer ${id}`, options)
  rejectUnknownOptions(`vfs: layer ${id}`, options, [])
}
