/**
 * The libzstd that Node itself is made with, by its streaming interface (zstd.h, stable since 1.3.0): output goes into memory
 * of the caller's, which is used again, and not into a new buffer for each chunk.
 *
 * Only the process's own: a libzstd.so that is loaded beside it would find half of its functions in Node, of another version.
 */
import { createRequire } from 'node:module'
import { promisify } from 'node:util'
import type { Decompressor, DecompressorStep } from './decompressor.ts'

interface Zstd {
  readonly create: () => unknown
  readonly free: (stream: unknown) => void
  readonly decompress: (stream: unknown, output: Buffer, input: Buffer) => Promise<bigint | number>
  readonly isError: (code: bigint | number) => number
  readonly errorName: (code: bigint | number) => string
  readonly addressOf: (bytes: Uint8Array) => bigint | number
}

/** `ZSTD_inBuffer` and `ZSTD_outBuffer`: address, size, position, each of 8 bytes. */
const window = { bytes: 24, address: 0, size: 8, position: 16 } as const

/** `null` when it has been looked for in vain. */
let library: Zstd | null | undefined

export class FastZstd implements Decompressor {
  readonly hasPadding = false
  readonly #zstd: Zstd
  #stream: unknown
  readonly #input = Buffer.alloc(window.bytes)
  readonly #output = Buffer.alloc(window.bytes)
  /** What the library's thread has addresses of, while it runs. */
  #lent: readonly Uint8Array[] | undefined
  #closed = false

  private constructor(zstd: Zstd) {
    this.#zstd = zstd
    this.#stream = zstd.create()
  }

  /** @returns undefined where Node does not show it */
  static create(): FastZstd | undefined {
    library ??= load()
    return library === null ? undefined : new FastZstd(library)
  }

  async run(input: Uint8Array, output: Uint8Array): Promise<DecompressorStep> {
    this.#lent = [input, output]
    this.#point(this.#input, input)
    this.#point(this.#output, output)
    try {
      const left = await this.#zstd.decompress(this.#stream, this.#output, this.#input)
      if (this.#zstd.isError(left) !== 0) throw new Error(this.#zstd.errorName(left))
      return {
        consumed: Number(this.#input.readBigUInt64LE(window.position)),
        produced: Number(this.#output.readBigUInt64LE(window.position)),
        ended: Number(left) === 0,
      }
    } finally {
      this.#lent = undefined
      if (this.#closed) this.#free()
    }
  }

  /** The stream does so by itself. */
  next(): void {}

  [Symbol.dispose](): void {
    if (this.#closed) return
    this.#closed = true
    if (this.#lent === undefined) this.#free()
  }

  #free(): void {
    this.#zstd.free(this.#stream)
    this.#stream = undefined
  }

  #point(at: Buffer, bytes: Uint8Array): void {
    at.writeBigUInt64LE(BigInt(this.#zstd.addressOf(bytes)), window.address)
    at.writeBigUInt64LE(BigInt(bytes.length), window.size)
    at.writeBigUInt64LE(0n, window.position)
  }
}

function load(): Zstd | null {
  if (process.platform !== 'linux') return null
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi')
    const zstd = koffi.load(null)
    const decompress = zstd.func('size_t ZSTD_decompressStream(void *stream, void *output, void *input)')
    return {
      create: zstd.func('void *ZSTD_createDStream()'),
      free: zstd.func('size_t ZSTD_freeDStream(void *stream)'),
      decompress: promisify(decompress.async) as Zstd['decompress'],
      isError: zstd.func('unsigned int ZSTD_isError(size_t code)'),
      errorName: zstd.func('const char *ZSTD_getErrorName(size_t code)'),
      addressOf: (bytes) => koffi.address(bytes),
    }
  } catch {
    return null
  }
}
