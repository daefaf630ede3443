/** What is measured of each driver, the same for all. */

export interface ContainerFigures {
  /** Fewer than were asked for where each is a copy of the image, and the disk has no room for so many. */
  readonly count: number
  /** Milliseconds to make a container's layer, mount it, write a small file into it; the median. */
  readonly startMs: number
  /** Milliseconds to unmount it and remove it; the median. */
  readonly removeMs: number
  /** On the disk, of each. */
  readonly bytes: number
  readonly inodes: number
  /** Of the page cache, that each takes for itself when all read the same file of the image. */
  readonly memoryBytes: number
  /** The size of that file. */
  readonly sharedBytes: number
}

export interface DriverFigures {
  readonly driver: string
  readonly filesystem: string
  /** Bytes of files unpacked in a second, from a plain tar. */
  readonly unpackBytesPerSecond: number
  /** Milliseconds to tell what a container changed that wrote one file. */
  readonly changesMs: number
  /** Milliseconds to put a layer on the image that changes one small file; the median, as what follows. */
  readonly layerMs: number
  /** On the disk, of such a layer. */
  readonly layerBytes: number
  readonly layerInodes: number
  readonly containers: ContainerFigures
}

export interface FailedDriver {
  readonly driver: string
  readonly filesystem: string
  readonly failure: string
}

export type ComparedDriver = DriverFigures | FailedDriver

export function isMeasured(compared: ComparedDriver): compared is DriverFigures {
  return !('failure' in compared)
}

export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}
