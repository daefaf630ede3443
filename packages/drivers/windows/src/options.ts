import { type DriverOptions, GraphDriverError, rejectUnknownOptions } from '@graphdriver/core'
import { type LayerApi, layerApis } from '@graphdriver/sys/windows'

export interface WindowsOptions {
  /** On Windows: by whose calls layers are made, by default `vmcompute`, as Docker makes them. */
  readonly api: LayerApi
}

/** @throws GD_INVALID_OPTION */
export function parseOptions(options: DriverOptions, platform: NodeJS.Platform): WindowsOptions {
  rejectUnknownOptions('windows', options, platform === 'win32' ? ['api'] : [])
  const value = options['api'] ?? 'vmcompute'
  const api = layerApis.find((name) => name === value)
  if (api !== undefined) return { api }
  throw new GraphDriverError(
    'GD_INVALID_OPTION',
    `windows: option 'api': '${value}' is none of ${layerApis.join(', ')}`,
    { option: 'api', value },
  )
}
