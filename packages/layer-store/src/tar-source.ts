import { type TarStream, unlessAborted } from '@graphdriver/core'

/**
 * The one reader of a tar. Its iteration can be left and taken up again, so that what the driver did not read can be
 * read after it; an abort ends a wait even if the source is silent; disposing it releases the source, whether or not
 * it was ever read.
 */
export class TarSource implements AsyncIterable<Uint8Array>, AsyncDisposable {
  readonly #tar: TarStream
  readonly #chunks: AsyncIterator<Uint8Array>
  readonly #signal: AbortSignal | undefined
  #begun = false
  #ended = false
  #asked = 0
  #failure: { readonly error: unknown } | undefined

  constructor(tar: TarStream, signal?: AbortSignal) {
    this.#tar = tar
    this.#chunks = tar[Symbol.asyncIterator]()
    this.#signal = signal
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return {
      next: () => this.#next(),
      return: () => Promise.resolve({ done: true, value: undefined }),
    }
  }

  /** Reads on to the end. */
  async drain(): Promise<void> {
    for (;;) {
      const step = await this.#next()
      if (step.done === true) return
    }
  }

  /** Throws what the source threw, which tells more than what a reader made of it. */
  throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return
    this.#ended = true
    if (!this.#begun && isDisposable(this.#tar)) {
      // Leaving an iteration that never began closes no file.
      await this.#tar[Symbol.asyncDispose]()
      return
    }
    const left = this.#chunks.return?.()
    if (left === undefined) return
    // A generator that waits for something silent cannot be left before that something speaks.
    if (this.#asked > 0) left.catch(() => undefined)
    else await left
  }

  async #next(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#ended) return { done: true, value: undefined }
    try {
      const step = await unlessAborted(this.#ask(), this.#signal)
      if (step.done !== true) return { done: false, value: step.value }
      this.#ended = true
      return { done: true, value: undefined }
    } catch (error) {
      this.#failure ??= { error }
      throw error
    }
  }

  async #ask(): Promise<IteratorResult<Uint8Array, unknown>> {
    this.#begun = true
    this.#asked += 1
    try {
      return await this.#chunks.next()
    } finally {
      this.#asked -= 1
    }
  }
}

function isDisposable(tar: TarStream): tar is TarStream & AsyncDisposable {
  return Symbol.asyncDispose in tar
}
