import { createWriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { Readable, type Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { isSystemError } from '@graphdriver/sys'
import { UsageError } from './failure.ts'

/**
 * Writes bytes to a file, or to stdout where none is named. A file that could not be written to its end is removed.
 *
 * @returns how many
 */
export async function writeBytes(
  bytes: AsyncIterable<Uint8Array>,
  file: string | undefined,
  signal: AbortSignal,
): Promise<number> {
  if (file === undefined || file === '-') {
    if (process.stdout.isTTY)
      throw new UsageError('a tar is not for a terminal; redirect stdout or use --output FILE')
    return send(bytes, process.stdout, signal, false)
  }
  try {
    return await send(bytes, createWriteStream(file, { mode: 0o644 }), signal, true)
  } catch (error) {
    // Not if it is somebody else's device or a directory.
    if (!isSystemError(error, 'EISDIR', 'EACCES', 'ENOENT')) await rm(file, { force: true })
    throw error
  }
}

async function send(
  bytes: AsyncIterable<Uint8Array>,
  target: Writable,
  signal: AbortSignal,
  end: boolean,
): Promise<number> {
  let count = 0
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of bytes) {
      count += chunk.length
      yield chunk
    }
  }
  await pipeline(Readable.from(counted(), { objectMode: false }), target, { signal, end })
  return count
}
