import { type CallOptions, GraphDriverError } from '@graphdriver/core'
import { FastInflate, FastZstd } from '@graphdriver/sys'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { type Compression, detectCompression, magicLength } from './detect.ts'
import { decompressing } from './decompressing.ts'
import { through } from './through.ts'
import { ZstdFrames } from './zstd-frames.ts'

/** The default of 16 KiB halves the speed of inflating. */
const chunkSize = 1024 * 1024

export interface DecompressOptions extends CallOptions {
  /** A chunk is valid only until the next is asked for: its memory may be used again. */
  readonly transient?: boolean | undefined
  /**
   * How many bytes may come of one, once there are more than 256 MiB of them; by default any number. gzip makes 1032 at the
   * most, zstd more than 30 000.
   */
  readonly maxExpansion?: number | undefined
}

/** What is less than this is no harm, however it came. */
const harmlessBytes = 256 * 1024 * 1024

/**
 * The uncompressed bytes of a stream, by its magic number and in constant memory; one that is not compressed passes
 * as it is, also when it is empty.
 *
 * Several gzip members or zstd frames in one stream are one content. Zeros after a gzip stream are padding; anything
 * else that follows is damage.
 *
 * @throws GD_COMPRESSION_INVALID while iterating, for a damaged or truncated stream, and for bzip2 and xz; what
 *   `stream` throws passes untouched
 */
export async function* decompress(
  stream: AsyncIterable<Uint8Array>,
  options: DecompressOptions = {},
): AsyncGenerator<Uint8Array, void, void> {
  const { maxExpansion = Number.POSITIVE_INFINITY } = options
  let [taken, given] = [0, 0]
  const counted =
    maxExpansion === Number.POSITIVE_INFINITY ? stream : counting(stream, (bytes) => (taken += bytes))
  for await (const chunk of contentOf(counted, options)) {
    given += chunk.length
    if (given > harmlessBytes && given > taken * maxExpansion) throw expanding(maxExpansion)
    yield chunk
  }
}

async function* counting(
  stream: AsyncIterable<Uint8Array>,
  count: (bytes: number) => void,
): AsyncGenerator<Uint8Array, void, void> {
  for await (const chunk of stream) {
    count(chunk.length)
    yield chunk
  }
}

function expanding(limit: number): GraphDriverError<'GD_COMPRESSION_INVALID'> {
  const message = `compressed stream expands to more than ${limit} times its size, which is the limit; do not trust it, or raise that`
  return new GraphDriverError('GD_COMPRESSION_INVALID', message, { format: 'any' })
}

async function* contentOf(
  stream: AsyncIterable<Uint8Array>,
  options: DecompressOptions,
): AsyncGenerator<Uint8Array, void, void> {
  const { signal } = options
  signal?.throwIfAborted()
  const chunks = stream[Symbol.asyncIterator]()
  const taken: Uint8Array[] = []
  let compression: Compression = 'none'
  try {
    compression = detectCompression(await take(chunks, taken, magicLength))
    if (compression === 'bzip2' || compression === 'xz') throw unsupported(compression)
  } catch (error) {
    await chunks.return?.()
    throw error
  }
  const all = rejoin(taken, chunks)
  switch (compression) {
    case 'none':
      for await (const chunk of all) {
        signal?.throwIfAborted()
        yield chunk
      }
      return
    case 'gzip': {
      const machine = FastInflate.create()
      if (machine !== undefined) yield* decompressing(all, machine, damaged('gzip'), options)
      else yield* through(all, createGunzip({ chunkSize }), whole, damaged('gzip'), signal)
      return
    }
    case 'zstd': {
      const machine = FastZstd.create()
      if (machine !== undefined) {
        yield* decompressing(all, machine, damaged('zstd'), options)
        return
      }
      const frames = new ZstdFrames()
      const cut = (chunk: Uint8Array) => frames.cut(chunk)
      yield* through(all, createZstdDecompress({ chunkSize }), cut, damaged('zstd'), signal)
      return
    }
  }
}

const whole = (chunk: Uint8Array): readonly Uint8Array[] => [chunk]

/** Takes chunks until there are `length` bytes or no more. @returns the bytes, at least so many if there are */
async function take(
  chunks: AsyncIterator<Uint8Array>,
  taken: Uint8Array[],
  length: number,
): Promise<Uint8Array> {
  let have = 0
  while (have < length) {
    const step = await chunks.next()
    if (step.done === true) break
    taken.push(step.value)
    have += step.value.length
  }
  return taken.length === 1 && taken[0] !== undefined ? taken[0] : Buffer.concat(taken)
}

/** The stream as it was before its beginning was looked at. Leaving it leaves the original. */
function rejoin(taken: readonly Uint8Array[], chunks: AsyncIterator<Uint8Array>): AsyncIterable<Uint8Array> {
  const first = taken.values()
  const iterator: AsyncIterator<Uint8Array> = {
    next: async () => {
      const step = first.next()
      return step.done === true ? chunks.next() : step
    },
    return: async () => (await chunks.return?.()) ?? { done: true, value: undefined },
  }
  return { [Symbol.asyncIterator]: () => iterator }
}

function unsupported(format: 'bzip2' | 'xz'): GraphDriverError<'GD_COMPRESSION_INVALID'> {
  const message = `compression ${format} is not supported; recompress with gzip or zstd`
  return new GraphDriverError('GD_COMPRESSION_INVALID', message, { format })
}

function damaged(format: 'gzip' | 'zstd'): (cause: unknown) => GraphDriverError<'GD_COMPRESSION_INVALID'> {
  return (cause) => {
    const why = cause instanceof Error ? cause.message : String(cause)
    const message = `${format} stream is damaged or truncated (${why}); fetch it again`
    return new GraphDriverError('GD_COMPRESSION_INVALID', message, { format }, { cause })
  }
}
