import { setImmediate } from 'node:timers/promises'
import type { CallOptions } from '@graphdriver/core'
import { type Elsewhere, Places } from './places.ts'
import { readRecords } from './read-records.ts'

const chunkSize = 512 * 1024

export interface AssembleOptions extends CallOptions {
  /**
   * Where to look for a file that is not beneath the root: its entry may have come through a link of a layer below. Asked at
   * most once.
   */
  readonly elsewhere?: Elsewhere
}

/**
 * Puts a layer's tar together again from its recipe (the bytes of `tar-split.json.gz`) and the files beneath `root`,
 * in constant memory. Each file is verified against the recipe; that the whole is what was registered is for the
 * caller to verify by its digest.
 *
 * Files are read synchronously, half a megabyte at a time, between which the event loop runs.
 *
 * @throws GD_LAYER_CORRUPT while iterating, naming the file that is missing or has changed
 */
export async function* assembleTar(
  recipe: AsyncIterable<Uint8Array>,
  root: string,
  options: AssembleOptions = {},
): AsyncGenerator<Uint8Array, void, void> {
  using files = new Places(root, options.elsewhere)
  const out = new Chunk()
  for await (const record of readRecords(recipe, root)) {
    options.signal?.throwIfAborted()
    if (record.kind === 'segment') {
      for (let from = 0; from < record.payload.length;) {
        from += out.copy(record.payload, from)
        if (out.full) yield* out.take()
      }
    } else if (record.size > 0) {
      using file = await files.open(record)
      while (file.left > 0) {
        out.add(file.read(out.space()))
        if (!out.full) continue
        yield* out.take()
        options.signal?.throwIfAborted()
        await setImmediate()
      }
    }
  }
  yield* out.take()
}

/** Bytes on their way out, in a buffer of their own that the caller may keep. */
class Chunk {
  #buffer: Buffer = Buffer.allocUnsafeSlow(chunkSize)
  #length = 0

  get full(): boolean {
    return this.#length === chunkSize
  }

  space(): Buffer {
    return this.#buffer.subarray(this.#length)
  }

  add(length: number): void {
    this.#length += length
  }

  copy(source: Buffer, from: number): number {
    const copied = source.copy(this.#buffer, this.#length, from)
    this.#length += copied
    return copied
  }

  *take(): Generator<Uint8Array, void, void> {
    if (this.#length === 0) return
    const full = this.#buffer.subarray(0, this.#length)
    this.#buffer = Buffer.allocUnsafeSlow(chunkSize)
    this.#length = 0
    yield full
  }
}
