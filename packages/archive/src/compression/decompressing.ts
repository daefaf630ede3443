import { unlessAborted } from '@graphdriver/core'
import type { Decompressor } from '@graphdriver/sys'

/** One of two in turn is filled while the other is read. */
const outputBytes = 1024 * 1024

export interface DecompressingOptions {
  readonly signal?: AbortSignal | undefined
  /** A chunk is valid only until the next is asked for, and its memory is used again. */
  readonly transient?: boolean | undefined
}

/**
 * The content of a stream, by a library of the system.
 *
 * @param machine a new one, which is disposed
 * @param explain turns the library's error into what the reader sees
 */
export async function* decompressing(
  stream: AsyncIterable<Uint8Array>,
  machine: Decompressor,
  explain: (cause: unknown) => unknown,
  { signal, transient = false }: DecompressingOptions,
): AsyncGenerator<Uint8Array, void, void> {
  using _ = machine
  const source = new Waiting(stream)
  const all = pieces(source, machine, explain, signal)
  let next = all.next()
  try {
    for (;;) {
      const piece = await unlessAborted(next, signal)
      if (piece.done === true) return
      // A source whose memory is used again is asked for more only now, when all of the last chunk has been taken.
      next = all.next()
      // It may fail before the reader comes back for it.
      next.catch(() => undefined)
      yield transient ? piece.value : Buffer.from(piece.value)
    }
  } finally {
    const left = all.return()
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

async function* pieces(
  stream: AsyncIterable<Uint8Array>,
  machine: Decompressor,
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
        // As Node's own: of what comes after a zero nothing is looked at.
        if (state === 'padding' || (machine.hasPadding && rest[0] === 0)) {
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
