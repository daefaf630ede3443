import { unlessAborted } from '@graphdriver/core'
import type { FastInflate } from '@graphdriver/sys'

/** One of two in turn is filled while the other is read. */
const outputBytes = 1024 * 1024

export interface InflateOptions {
  readonly signal?: AbortSignal | undefined
  /** A chunk is valid only until the next is asked for, and its memory is used again. */
  readonly transient?: boolean | undefined
}

/**
 * The content of a gzip stream, by the fast library.
 *
 * @param machine a new one
 * @param explain turns the library's error into what the reader sees
 */
export async function* inflate(
  stream: AsyncIterable<Uint8Array>,
  machine: FastInflate,
  explain: (cause: unknown) => unknown,
  { signal, transient = false }: InflateOptions,
): AsyncGenerator<Uint8Array, void, void> {
  const source = new Waiting(stream)
  const pieces = inflated(source, machine, explain, signal)
  let next = pieces.next()
  try {
    for (;;) {
      const piece = await unlessAborted(next, signal)
      if (piece.done === true) return
      // A source whose memory is used again is asked for more only now, when all of the last chunk has been taken.
      next = pieces.next()
      // It may fail before the reader comes back for it.
      next.catch(() => undefined)
      yield transient ? piece.value : Buffer.from(piece.value)
    }
  } finally {
    const left = pieces.return()
    // A source that is silent cannot be left before it speaks.
    if (source.isAsked) left.catch(() => undefined)
    else await left
  }
}

/** A stream, and whether it is being waited for. */
class Waiting implements AsyncIterable<Uint8Array> {
  readonly #stream: AsyncIterable<Uint8Array>
  isAsked = false

  constructor(stream: AsyncIterable<Uint8Array>) {
    this.#stream = stream
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, void> {
    this.isAsked = true
    for await (const chunk of this.#stream) {
      this.isAsked = false
      yield chunk
      this.isAsked = true
    }
    this.isAsked = false
  }
}

async function* inflated(
  stream: AsyncIterable<Uint8Array>,
  machine: FastInflate,
  explain: (cause: unknown) => unknown,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, void> {
  const outputs = [Buffer.allocUnsafeSlow(outputBytes), Buffer.allocUnsafeSlow(outputBytes)] as const
  let turn: 0 | 1 = 0
  let state: 'member' | 'between' | 'padding' = 'member'
  for await (const chunk of stream) {
    let rest = chunk
    while (rest.length > 0 || state === 'member') {
      signal?.throwIfAborted()
      if (state !== 'member') {
        // As Node's own: zeros are padding, and of what comes after them nothing is looked at.
        if (state === 'padding' || rest[0] === 0) {
          state = 'padding'
          break
        }
        machine.next()
        state = 'member'
      }
      const output: Buffer = outputs[turn]
      let step
      try {
        step = await machine.run(rest, output)
      } catch (error) {
        throw explain(error)
      }
      rest = rest.subarray(step.consumed)
      if (step.ended) state = 'between'
      if (step.produced > 0) {
        turn = turn === 0 ? 1 : 0
        yield output.subarray(0, step.produced)
      }
      if (rest.length === 0 && step.produced < output.length) break
    }
  }
  if (state === 'member') throw explain(new Error('unexpected end of file'))
}
