import { randomBytes } from 'node:crypto'
import { type FileHandle, open, unlink } from 'node:fs/promises'
import path from 'node:path'
import type { CallOptions } from '@graphdriver/core'

/**
 * Writes a stream to a temporary file, for what has to be read in another order than it comes in. The file has no
 * name any more when this returns, so that whatever happens to the process nothing is left of it.
 */
export async function spool(
  stream: AsyncIterable<Uint8Array>,
  directory: string,
  options: CallOptions = {},
): Promise<FileHandle> {
  const name = path.join(directory, `gd-image-${randomBytes(12).toString('hex')}`)
  const file = await open(name, 'wx+', 0o600)
  try {
    await unlink(name)
    await file.writeFile(watched(stream, options))
    return file
  } catch (error) {
    await file.close()
    throw error
  }
}

async function* watched(stream: AsyncIterable<Uint8Array>, options: CallOptions): AsyncGenerator<Uint8Array> {
  for await (const chunk of stream) {
    options.signal?.throwIfAborted()
    yield chunk
  }
}
