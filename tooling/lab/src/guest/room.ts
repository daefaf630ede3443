/** Room for guests that take long, of all processes together. */
import { mkdir } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { tryLockDirectory } from '@graphdriver/sys'

/**
 * One such guest waits for much, so there may be some more than processors, but not
 * so many that what they run takes several times as long as by itself.
 *
 * @throws the signal's reason
 */
export async function takeRoom(signal: AbortSignal | undefined): Promise<Disposable> {
  const directory = '/run/graphdriver-lab'
  const rooms = Array.from({ length: availableParallelism() + 1 }, (_, index) =>
    path.join(directory, `guest-${index}`),
  )
  for (const room of rooms) await mkdir(room, { recursive: true })
  for (;;) {
    for (const room of rooms) {
      const taken = tryLockDirectory(room, 'exclusive')
      if (taken !== undefined) return taken
    }
    await setTimeout(200, undefined, { signal })
  }
}
