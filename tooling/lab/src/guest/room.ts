/** Room for guests that take long, of all processes together. */
import { mkdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { tryLockDirectory } from '@graphdriver/sys'

/** A guest's place among those of this machine. */
export interface Room extends Disposable {
  /** The processor that it is kept to. */
  readonly processor: number
}

const directory = '/run/graphdriver-lab'

/**
 * Waits for a processor that no other such guest has: it has enough to do for all of it.
 *
 * @throws the signal's reason
 */
export async function takeRoom(signal: AbortSignal | undefined): Promise<Room> {
  const rooms = (await allowedProcessors()).map((processor) => ({
    processor,
    place: path.join(directory, `guest-${processor}`),
  }))
  for (const { place } of rooms) await mkdir(place, { recursive: true })
  for (;;) {
    for (const { processor, place } of rooms) {
      const taken = tryLockDirectory(place, 'exclusive')
      if (taken !== undefined) return { processor, [Symbol.dispose]: () => taken[Symbol.dispose]() }
    }
    await setTimeout(200, undefined, { signal })
  }
}

let passing = process.pid

/** For a guest that does not take long: it waits for nobody. */
export async function passingRoom(): Promise<Room> {
  const processors = await allowedProcessors()
  const processor = processors[passing++ % processors.length] ?? 0
  return { processor, [Symbol.dispose]: () => undefined }
}

/** As the kernel lists them: `0-2,5`. */
async function allowedProcessors(): Promise<readonly number[]> {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(await readFile('/proc/self/status', 'utf8'))?.[1] ?? '0'
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, index) => first + index)
  })
}
