import type { TarStream } from '@graphdriver/core'

/** Where a stream goes. */
export interface Sink {
  /** Resolves when there is room for more. @returns false when no more is wanted */
  write(chunk: Uint8Array): Promise<boolean>
  end(): void
}

/**
 * Moves a stream into a sink until the stream ends or the job that it is for does, whichever is first, and leaves
 * the stream in either case.
 *
 * @param job settles when whoever takes the bytes is done; what it rejects with is the caller's to see
 * @param abort makes the job settle
 * @throws what the stream throws, after the job has settled
 */
export async function feed(
  stream: TarStream,
  sink: Sink,
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
      if (!(await sink.write(step.value))) {
        await leave(chunks)
        return
      }
    }
  } catch (error) {
    abort(error)
    await stopped
    throw error
  }
  sink.end()
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
