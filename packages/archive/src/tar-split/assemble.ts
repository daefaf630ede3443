import { setImmediate } from 'node:timers/promises'
import { type CallOptions, isGraphDriverError } from '@graphdriver/core'
import { decompress } from '../compression/decompress.ts'
import { type LayerFile, LayerFiles } from './layer-file.ts'
import { readLines } from './read-lines.ts'
import { corrupt, type FileRecord, parseRecord, type TarSplitRecord } from './record.ts'

const chunkSize = 512 * 1024

export interface AssembleOptions extends CallOptions {
  /**
   * Where to look for a file that is not beneath the root: its entry may have come through a link of a layer below. Asked at
   * most once.
   */
  readonly elsewhere?: (() => Promise<string>) | undefined
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

/** The files of a layer in one place, and those that are not there in another. */
class Places implements Disposable {
  readonly #files: LayerFiles
  readonly #elsewhere: AssembleOptions['elsewhere']
  #others: LayerFiles | undefined

  constructor(root: string, elsewhere: AssembleOptions['elsewhere']) {
    this.#files = new LayerFiles(root)
    this.#elsewhere = elsewhere
  }

  /** @throws GD_LAYER_CORRUPT, of the first place */
  async open(record: FileRecord): Promise<LayerFile> {
    try {
      return this.#files.open(record)
    } catch (error) {
      if (this.#elsewhere === undefined || !isGraphDriverError(error, 'GD_LAYER_CORRUPT')) throw error
      this.#others ??= new LayerFiles(await this.#elsewhere())
      try {
        return this.#others.open(record)
      } catch {
        throw error
      }
    }
  }

  [Symbol.dispose](): void {
    this.#others?.[Symbol.dispose]()
    this.#files[Symbol.dispose]()
  }
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

async function* readRecords(
  recipe: AsyncIterable<Uint8Array>,
  root: string,
): AsyncGenerator<TarSplitRecord, void, void> {
  let position = 0
  try {
    for await (const line of readLines(decompress(recipe), root)) yield parseRecord(line, position++, root)
  } catch (error) {
    if (!isGraphDriverError(error, 'GD_COMPRESSION_INVALID')) throw error
    throw corrupt(root, `the tar-split file is damaged after record ${position}`, undefined, { cause: error })
  }
}
