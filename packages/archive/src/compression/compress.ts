import type { CallOptions } from '@graphdriver/core'
import { constants, createGzip, createZstdCompress } from 'node:zlib'
import { through } from './through.ts'

export interface CompressOptions extends CallOptions {
  /** 1 to 9 for gzip, 1 to 22 for zstd; the format's own default otherwise. */
  readonly level?: number | undefined
}

const chunkSize = 1024 * 1024

/** A stream compressed, in constant memory. The bytes are the same for the same input, level and version of Node. */
export function compress(
  stream: AsyncIterable<Uint8Array>,
  format: 'gzip' | 'zstd',
  options: CompressOptions = {},
): AsyncIterable<Uint8Array> {
  const { level, signal } = options
  const transform = format === 'gzip' ? gzip(level) : zstd(level)
  return through(
    stream,
    transform,
    (chunk) => [chunk],
    (error) => error,
    signal,
  )
}

function gzip(level: number | undefined): ReturnType<typeof createGzip> {
  return createGzip(level === undefined ? { chunkSize } : { chunkSize, level })
}

function zstd(level: number | undefined): ReturnType<typeof createZstdCompress> {
  // As the zstd command does, so that damage is found.
  const params = { [constants.ZSTD_c_checksumFlag]: 1 }
  if (level !== undefined) params[constants.ZSTD_c_compressionLevel] = level
  return createZstdCompress({ chunkSize, params })
}
