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
  const processors = await allowedProcessors()
  const rooms = processors.map((processor) => path.join(directory, `guest-${processor}`))
  for (const room of rooms) await mkdir(room, { recursive: true })
  for (;;) {
    for (const [index, room] of rooms.entries()) {
      const taken = tryLockDirectory(room, 'exclusive')
      if (taken === undefined) continue
      return { processor: nth(processors, index), [Symbol.dispose]: () => taken[Symbol.dispose]() }
    }
    await setTimeout(200, undefined, { signal })
  }
}

let passing = process.pid

/** For a guest that does not take long: it waits for nobody. */
export async function passingRoom(): Promise<Room> {
  return { processor: nth(await allowedProcessors(), passing++), [Symbol.dispose]: () => undefined }
}

function nth(processors: readonly number[], index: number): number {
  return processors[index % processors.length] ?? 0
}

/** As the kernel lists them: `0-2,5`. */
async function allowedProcessors(): Promise<readonly number[]> {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(await readFile('/proc/self/status', 'utf8'))?.[1] ?? '0'
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, index) => first + index)
  })
}
