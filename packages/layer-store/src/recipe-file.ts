import { open } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { once } from 'node:events'
import { constants, createGzip, type Gzip } from 'node:zlib'

/**
 * A `tar-split.json.gz` being written. Compression runs in the thread pool, beside the extraction; the fastest
 * level, because the content is headers in base64, which no level compresses badly.
 */
export class RecipeFile implements AsyncDisposable {
  readonly #gzip: Gzip
  readonly #written: Promise<void>

  private constructor(gzip: Gzip, written: Promise<void>) {
    this.#gzip = gzip
    this.#written = written
    // It is awaited later, if at all: the layer may fail before the file does.
    written.catch(() => undefined)
  }

  /** @param isFlushed whether `finish` waits until the file is on the disk */
  static async create(file: string, isFlushed: boolean): Promise<RecipeFile> {
    const handle = await open(file, 'wx', 0o644)
    const gzip = createGzip({ level: constants.Z_BEST_SPEED })
    return new RecipeFile(gzip, pipeline(gzip, handle.createWriteStream({ flush: isFlushed })))
  }

  write(line: Uint8Array): void {
    this.#gzip.write(line)
  }

  /** Returns when there is room for more. */
  async ready(): Promise<void> {
    if (this.#gzip.destroyed) await this.#written
    if (this.#gzip.writableNeedDrain) await Promise.race([once(this.#gzip, 'drain'), this.#written])
  }

  /** Returns when the file is whole. */
  async finish(): Promise<void> {
    this.#gzip.end()
    await this.#written
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#gzip.destroy()
    await this.#written.catch(() => undefined)
  }
}
