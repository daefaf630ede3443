import type { TarStream } from '@graphdriver/core'
import type { RingWriter } from './ring.ts'

/**
 * Moves a stream into a ring until the stream ends or the job does, whichever is first. The stream is left in every
 * case: a caller that waits for us may wait for it.
 *
 * @param job settles when the worker is done; what it rejects with is the caller's to see
 * @param abort stops the worker
 * @throws what the stream throws, after the worker has stopped
 */
export async function feed(
  stream: TarStream,
  ring: RingWriter,
  job: Promise<unknown>,
  abort: (reason: unknown) => void,
): Promise<void> {
  let over = false
  let wake: () => void = () => undefined
  const stopped = job.then(
    () => undefined,
    () => undefined,
  )
  void stopped.then(() => {
    over = true
    wake()
  })
  let chunks: AsyncIterator<Uint8Array>
  try {
    chunks = stream[Symbol.asyncIterator]()
    for (;;) {
      const next = chunks.next()
      const step = await firstOf(next, (resolve) => {
        wake = resolve
        if (over) resolve()
      })
      if (step === undefined) {
        // The stream is in the middle of something; it is told, and not waited for.
        next.catch(() => undefined)
        void leave(chunks)
        return
      }
      if (step.done === true) break
      if (!(await ring.write(step.value))) {
        await leave(chunks)
        return
      }
    }
  } catch (error) {
    abort(error)
    await stopped
    throw error
  }
  ring.end()
}

/** Unlike Promise.race with a promise that lives long, this leaves nothing behind on it per round. */
function firstOf<Value>(
  promise: Promise<Value>,
  interrupt: (resolve: () => void) => void,
): Promise<Value | undefined> {
  return new Promise((resolve, reject) => {
    interrupt(() => resolve(undefined))
    promise.then(resolve, reject)
  })
}

async function leave(chunks: AsyncIterator<Uint8Array>): Promise<void> {
  try {
    await chunks.return?.()
  } catch {
    // The job's own failure is what the caller hears of.
  }
}
