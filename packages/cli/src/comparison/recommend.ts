/** Which of the measured drivers to take here, and why. */
import { formatBytes, formatMilliseconds } from '../quantity.ts'
import { type DriverFigures, median } from './figures.ts'

export interface Recommendation {
  readonly driver: string
  readonly reasons: readonly string[]
}

/** What is weighed: lower is better of all; below the floor there is no difference that anybody would notice. */
const weighed: readonly { readonly floor: number; readonly of: (figures: DriverFigures) => number }[] = [
  { floor: 1, of: ({ containers }) => containers.startMs + containers.removeMs },
  { floor: 1, of: ({ changesMs }) => changesMs },
  { floor: 1, of: ({ layerMs }) => layerMs },
  { floor: 16, of: ({ layerInodes }) => layerInodes },
  { floor: 64 * 1024, of: ({ containers }) => containers.bytes },
  { floor: 256 * 1024, of: ({ containers }) => containers.memoryBytes },
  { floor: 1e-9, of: ({ unpackBytesPerSecond }) => 1 / unpackBytesPerSecond },
]

/** Of those that are about as good as the best, the one that graphdriver would take unasked. */
const margin = 1.2

/**
 * The one with the least geometric mean of what its figures are beside the best ones.
 *
 * @param measured in the order in which graphdriver would take them
 */
export function recommend(measured: readonly DriverFigures[]): Recommendation | undefined {
  const scores = measured.map((figures) => {
    const ratios = weighed.map(({ floor, of }) => {
      const best = Math.max(floor, Math.min(...measured.map(of)))
      return Math.log(Math.max(floor, of(figures)) / best)
    })
    return Math.exp(ratios.reduce((sum, ratio) => sum + ratio, 0) / weighed.length)
  })
  const least = Math.min(...scores)
  const best = measured.find((_, at) => (scores[at] ?? Number.POSITIVE_INFINITY) <= least * margin)
  return best === undefined ? undefined : { driver: best.driver, reasons: reasonsFor(best, measured) }
}

function reasonsFor(best: DriverFigures, measured: readonly DriverFigures[]): readonly string[] {
  const others = measured.filter((figures) => figures !== best)
  const beside = (of: (figures: DriverFigures) => number, show: (value: number) => string): string =>
    others.length === 0 ? '' : `; the others ${show(median(others.map(of)))} (median)`
  const milliseconds = (value: number): string => `${formatMilliseconds(value)} ms`
  const { containers } = best
  return [
    `a container starts in ${milliseconds(containers.startMs)}${beside((one) => one.containers.startMs, milliseconds)}`,
    `it takes ${formatBytes(containers.bytes)} of the disk${beside((one) => one.containers.bytes, formatBytes)}`,
    `and ${formatBytes(containers.memoryBytes)} of memory to read a file of ${formatBytes(containers.sharedBytes)} that others have read${beside((one) => one.containers.memoryBytes, formatBytes)}`,
    `an image is unpacked at ${formatBytes(best.unpackBytesPerSecond)} a second${beside((one) => one.unpackBytesPerSecond, formatBytes)}`,
  ]
}
