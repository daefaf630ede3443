import { type DriverOptions, GraphDriverError, rejectSize, rejectUnknownOptions } from '@graphdriver/core'

export interface AufsOptions {
  /** Who mounts: aufs itself, overlayfs, or, by default, aufs where the kernel has it. */
  readonly engine: 'auto' | 'kernel' | 'overlay'
}

/** Docker ignores whatever options aufs is given. @throws GD_INVALID_OPTION */
export function parseOptions(options: DriverOptions): AufsOptions {
  rejectSize('aufs', options)
  rejectUnknownOptions('aufs', options, ['engine'])
  const engine = options['engine'] ?? 'auto'
  if (engine === 'auto' || engine === 'kernel' || engine === 'overlay') return { engine }
  throw new GraphDriverError(
    'GD_INVALID_OPTION',
    `aufs: option 'engine' is '${engine}'; it is one of auto, kernel, overlay`,
    { option: 'engine', value: engine },
  )
}

/** @throws GD_INVALID_OPTION for whatever is given: there are no options per layer */
export function checkStorageOptions(id: string, options: DriverOptions | undefined): void {
  if (options === undefined) return
  rejectSize(`layer ${id}`, options)
  rejectUnknownOptions(`aufs: layer ${id}`, options, [])
}
