/** Measures a driver with the contract alone, in a directory of its own. */
import { closeSync, openSync, readFileSync, readSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import path from 'node:path'
import { performance } from 'node:perf_hooks'
import { type Driver, type DriverDefinition, hostOf, type LayerId, parseLayerId } from '@graphdriver/core'
import {
  FILESYSTEM_MAGIC,
  filesystemName,
  lstatx,
  major,
  minor,
  readMountTable,
  statfs,
  syncFilesystem,
} from '@graphdriver/sys'
import { syncPool } from '@graphdriver/sys/zfs'
import { type ContainerFigures, type DriverFigures, median } from './figures.ts'
import { contentBytes, type SampleSize, sampleTar, sharedFile, streamOf } from './sample-image.ts'

export interface MeasureOptions {
  /** Exists, is empty, and is emptied again. */
  readonly directory: string
  readonly options: Readonly<Record<string, string>>
  readonly size: SampleSize
  readonly containers: number
  readonly signal: AbortSignal
}

export async function measureDriver(
  definition: DriverDefinition,
  { directory, options, size, containers, signal }: MeasureOptions,
): Promise<DriverFigures> {
  const root = path.join(directory, definition.name)
  const made: LayerId[] = []
  try {
    await using driver = await definition.open(hostOf(definition, { root, options }))
    try {
      const place = new Place(directory)
      const image = parseLayerId('image')
      made.push(image)
      const unpackMs = await unpack(driver, image, size, signal)
      const layers = await measureLayers(driver, image, made, { size, place, signal })
      const count =
        driver.capabilities.sharing === 'none' ? place.roomFor(contentBytes(size), containers) : containers
      return {
        driver: definition.name,
        filesystem: filesystemName(statfs(directory).type),
        unpackBytesPerSecond: (contentBytes(size) / unpackMs) * 1000,
        ...layers,
        ...(await measureContainers(driver, image, made, { count, size, place, signal })),
      }
    } finally {
      for (const id of made.toReversed()) await driver.remove(id)
    }
  } finally {
    await rm(root, { recursive: true, force: true })
  }
}

/** Three times, the first for the threads to start and the code to be compiled. */
async function unpack(
  driver: Driver,
  image: LayerId,
  size: SampleSize,
  signal: AbortSignal,
): Promise<number> {
  const tar = await sampleTar(size)
  const times: number[] = []
  for (let round = 0; round < 3; round++) {
    if (round > 0) await driver.remove(image)
    await driver.create(image)
    times.push(await timed(() => driver.applyDiff(image, undefined, streamOf(tar), { signal })))
  }
  return Math.min(...times)
}

interface Sample {
  readonly size: SampleSize
  readonly place: Place
  readonly signal: AbortSignal
}

/** Beside each other, on the image; whoever else writes to the disk meanwhile spoils one of them, and not the median. */
async function measureLayers(
  driver: Driver,
  image: LayerId,
  made: LayerId[],
  { size, place, signal }: Sample,
): Promise<Pick<DriverFigures, 'layerMs' | 'layerBytes' | 'layerInodes'>> {
  const tar = await sampleTar({ files: 1, fileBytes: size.fileBytes, sharedBytes: 0 })
  const [times, bytes, inodes]: [number[], number[], number[]] = [[], [], []]
  for (let at = 0; at < 5; at++) {
    const id = parseLayerId(`layer-${at}`)
    const before = place.used()
    made.push(id)
    const add = async (): Promise<void> => {
      await driver.create(id, { parent: image })
      await driver.applyDiff(id, image, streamOf(tar), { signal })
    }
    times.push(await timed(add))
    const after = place.used()
    bytes.push(Math.max(0, after.bytes - before.bytes))
    inodes.push(Math.max(0, after.inodes - before.inodes))
  }
  return { layerMs: median(times), layerBytes: median(bytes), layerInodes: median(inodes) }
}

interface Containers extends Sample {
  readonly count: number
}

/** All are there at once, mounted, and read the same file. */
async function measureContainers(
  driver: Driver,
  image: LayerId,
  made: LayerId[],
  { count, size, place, signal }: Containers,
): Promise<Pick<DriverFigures, 'changesMs' | 'containers'>> {
  const [starts, removals, memory, mounted]: [number[], number[], number[], LayerId[]] = [[], [], [], []]
  let shared = ''
  const start = async (id: LayerId): Promise<void> => {
    signal.throwIfAborted()
    made.push(id)
    await driver.createReadWrite(id, { parent: image })
    const mount = await driver.get(id)
    mounted.push(id)
    writeFileSync(path.join(mount.path, 'own'), 'own')
    shared = path.join(mount.path, sharedFile)
  }
  try {
    // The first has the file read for the first time, and the code run of all that follow.
    const first = parseLayerId('container-0')
    await start(first)
    readWhole(shared)
    const before = place.used()
    for (let at = 1; at < count; at++) {
      const cached = cachedBytes()
      starts.push(await timed(() => start(parseLayerId(`container-${at}`))))
      readWhole(shared)
      memory.push(cachedBytes() - cached)
    }
    const after = place.used()
    const changes: number[] = []
    for (let round = 0; round < 5; round++)
      changes.push(await timed(() => driver.changes(first, image, { signal })))
    for (const id of mounted.toReversed()) {
      const remove = async (): Promise<void> => {
        await driver.put(id)
        await driver.remove(id)
      }
      mounted.pop()
      removals.push(await timed(remove))
      made.splice(made.indexOf(id), 1)
    }
    const each = (total: number): number => Math.max(0, Math.round(total / (count - 1)))
    const figures: ContainerFigures = {
      count,
      startMs: median(starts),
      removeMs: median(removals),
      bytes: each(after.bytes - before.bytes),
      inodes: each(after.inodes - before.inodes),
      // The whole machine is counted: what others read or give back meanwhile spoils some, and not the median.
      memoryBytes: Math.max(0, median(memory)),
      sharedBytes: size.sharedBytes,
    }
    return { changesMs: median(changes), containers: figures }
  } finally {
    for (const id of mounted.toReversed()) await driver.put(id)
  }
}

interface Used {
  readonly bytes: number
  readonly inodes: number
}

/** What is taken of a filesystem, of which the layers are files. */
class Place {
  readonly #directory: string
  /** The pool that it is on, of ZFS. */
  readonly #pool: string | undefined

  constructor(directory: string) {
    this.#directory = directory
    const isZfs = statfs(directory).type === FILESYSTEM_MAGIC.zfs
    this.#pool = isZfs ? poolOf(directory) : undefined
  }

  used(): Used {
    // What is not written yet is not counted by every filesystem.
    syncFilesystem(this.#directory)
    if (this.#pool !== undefined) syncPool(this.#pool)
    const { blocks, blocksFree, blocksAvailable, blockSize, files, filesFree } = statfs(this.#directory)
    // A layer of ZFS is a dataset of its own: it is taken of what the pool has, and not counted here.
    const taken = this.#pool !== undefined ? -blocksAvailable : blocks - blocksFree
    return { bytes: Number(taken) * blockSize, inodes: Number(files - filesFree) }
  }

  /** How many copies of so many bytes may be made: what is left is not ours alone. */
  roomFor(bytes: number, wanted: number): number {
    const { blocksAvailable, blockSize } = statfs(this.#directory)
    return Math.max(2, Math.min(wanted, Math.floor((Number(blocksAvailable) * blockSize) / 4 / bytes)))
  }
}

function poolOf(directory: string): string | undefined {
  const { dev } = lstatx(directory)
  const entry = readMountTable().find((one) => one.major === major(dev) && one.minor === minor(dev))
  return entry?.source.split('/')[0]
}

/** Of the kernel's caches of files, ZFS's own included. */
function cachedBytes(): number {
  const lines = readFileSync('/proc/meminfo', 'utf8').matchAll(/^(Cached|Buffers): +(\d+) kB$/gm)
  const page = [...lines].reduce((sum, [, , kilobytes]) => sum + Number(kilobytes) * 1024, 0)
  return page + arcBytes()
}

function arcBytes(): number {
  try {
    const size = /^size +\d+ +(\d+)$/m.exec(readFileSync('/proc/spl/kstat/zfs/arcstats', 'utf8'))
    return Number(size?.[1] ?? 0)
  } catch {
    return 0
  }
}

/** Without keeping it. */
function readWhole(file: string): void {
  const chunk = Buffer.allocUnsafe(1024 * 1024)
  const fd = openSync(file, 'r')
  try {
    while (readSync(fd, chunk) > 0);
  } finally {
    closeSync(fd)
  }
}

async function timed(action: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await action()
  return performance.now() - start
}
