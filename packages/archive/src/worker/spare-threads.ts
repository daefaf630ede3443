/**
 * Threads that no pool has at the moment, for whichever starts one next. Starting one costs tens of milliseconds of
 * processor time, and programs open drivers one after another.
 *
 * Like the threads of Node itself they are the process's and not a driver's, which is why this file has a state of
 * its own. They do not keep the process alive, and what has rested for a second is ended.
 */
import type { WorkerThread } from './worker-thread.ts'

const restMilliseconds = 1000
const limit = 4

interface Spare {
  readonly thread: WorkerThread
  readonly entry: string
  readonly end: NodeJS.Timeout
}

const spares: Spare[] = []

/** A living thread that runs `entry`, if one rests. */
export function takeSpare(entry: URL): WorkerThread | undefined {
  for (;;) {
    const index = spares.findLastIndex((spare) => spare.entry === entry.href)
    const [spare] = index === -1 ? [] : spares.splice(index, 1)
    if (spare === undefined) return undefined
    clearTimeout(spare.end)
    if (spare.thread.alive) return spare.thread
  }
}

/** Takes over a thread between jobs; it is ended at once where enough rest already. */
export async function giveSpare(thread: WorkerThread, entry: URL): Promise<void> {
  if (!thread.alive) return
  if (spares.length >= limit) {
    await thread.terminate()
    return
  }
  const end = setTimeout(() => {
    spares.splice(spares.indexOf(spare), 1)
    void thread.terminate()
  }, restMilliseconds)
  const spare: Spare = { thread, entry: entry.href, end: end.unref() }
  spares.push(spare)
}
