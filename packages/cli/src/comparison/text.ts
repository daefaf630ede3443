import { formatBytes, formatMilliseconds } from '../quantity.ts'
import { table } from '../table.ts'
import { type ComparedDriver, isMeasured } from './figures.ts'

/** A line for each driver. */
export function comparisonText(compared: readonly ComparedDriver[]): string {
  const heads = [
    'DRIVER',
    'UNPACK/s',
    'START ms',
    'REMOVE ms',
    'CHANGES ms',
    'DISK each',
    'INODES each',
    'LAYER ms',
    'LAYER disk',
    'INODES',
    'MEMORY each',
  ]
  return table(
    heads,
    compared.map((one) => {
      if (!isMeasured(one)) return [one.driver, `failed: ${one.failure}`]
      const { containers } = one
      return [
        one.driver,
        formatBytes(one.unpackBytesPerSecond),
        ...[containers.startMs, containers.removeMs, one.changesMs].map(formatMilliseconds),
        formatBytes(containers.bytes),
        String(containers.inodes),
        formatMilliseconds(one.layerMs),
        formatBytes(one.layerBytes),
        String(one.layerInodes),
        formatBytes(containers.memoryBytes),
      ]
    }),
  )
}
