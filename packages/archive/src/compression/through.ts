import type { Transform } from 'node:stream'
import { feed } from '../feed.ts'

/**
 * Sends a stream through a transform, at the pace of whoever reads the result.
 *
 * @param cut divides a chunk into what is written at once
 * @param explain turns an error of the transform, not of the stream, into what the reader sees
 */
export async function* through(
  stream: AsyncIterable<Uint8Array>,
  transform: Transform,
  cut: (chunk: Uint8Array) => readonly Uint8Array[],
  explain: (cause: unknown) => unknown,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, void> {
  signal?.throwIfAborted()
  const closed = new Promise<void>((resolve) => transform.once('close', resolve))
  // The error also reaches the loop below, and is dealt with there.
  transform.on('error', () => undefined)
  const sink = {
    write: async (chunk: Uint8Array) => {
      for (const piece of cut(chunk)) {
        if (transform.destroyed) return false
        if (!transform.write(piece)) await drained(transform)
      }
      return !transform.destroyed
    },
    end: () => void transform.end(),
  }
  const fed = feed(stream, sink, closed, (reason) =>
    transform.destroy(reason instanceof Error ? reason : new Error('stream failed', { cause: reason })),
  )
  fed.catch(() => undefined)
  const stop = () => transform.destroy(new Error('aborted'))
  signal?.addEventListener('abort', stop, { once: true })
  try {
    yield* transform
  } catch (error) {
    signal?.throwIfAborted()
    // When it was the stream that failed, this throws what it threw.
    await fed
    throw explain(error)
  } finally {
    signal?.removeEventListener('abort', stop)
    transform.destroy()
  }
}

/** Room again, or no more reason to wait for it. */
function drained(transform: Transform): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      transform.off('drain', done)
      transform.off('close', done)
      resolve()
    }
    transform.on('drain', done)
    transform.on('close', done)
  })
}
