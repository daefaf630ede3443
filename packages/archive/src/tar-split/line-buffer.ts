const chunkSize = 256 * 1024

/** Collects text into large chunks. A chunk belongs to the sink from then on. */
export class LineBuffer {
  readonly #sink: (bytes: Uint8Array) => void
  #chunk: Buffer = Buffer.allocUnsafeSlow(chunkSize)
  #length = 0

  constructor(sink: (bytes: Uint8Array) => void) {
    this.#sink = sink
  }

  add(line: string): void {
    // UTF-8 takes at most three bytes for each unit of UTF-16.
    if (line.length * 3 > chunkSize - this.#length) {
      this.flush()
      if (line.length * 3 > chunkSize) {
        this.#sink(Buffer.from(line))
        return
      }
    }
    this.#length += this.#chunk.write(line, this.#length)
  }

  flush(): void {
    if (this.#length === 0) return
    this.#sink(this.#chunk.subarray(0, this.#length))
    this.#chunk = Buffer.allocUnsafeSlow(chunkSize)
    this.#length = 0
  }
}
