import type { FileHandle } from 'node:fs/promises'
import type { ReadOptions } from './image-files.ts'
import { invalidImage } from './invalid-image.ts'

/** Large enough that system calls do not count, small enough to stay in the processor's cache. */
const chunkBytes = 1024 * 1024

/**
 * The bytes of a file from `start`, in large pieces, the next one being read while the last is worked on.
 *
 * @param source what to call the file
 * @throws GD_IMAGE_INVALID when the file ends early
 */
export async function* readRange(
  file: FileHandle,
  start: number,
  length: number,
  source: string,
  { signal, transient = false }: ReadOptions = {},
): AsyncGenerator<Uint8Array> {
  const end = start + length
  let position = start
  const buffers = transient ? new Rotation() : undefined
  let ahead = readAt(file, position, end, buffers)
  try {
    while (position < end) {
      signal?.throwIfAborted()
      const chunk = await ahead
      if (chunk.length === 0)
        throw invalidImage(source, `ends at byte ${position} of ${end}; it is truncated`)
      position += chunk.length
      ahead = readAt(file, position, end, buffers)
      yield chunk
    }
  } finally {
    // The file may be closed only when nothing reads it.
    await ahead.catch(() => undefined)
  }
}

/** Up to a chunk, fewer bytes at the end. Its failure is for whoever awaits it, and for nobody if nobody does. */
function readAt(
  file: FileHandle,
  position: number,
  end: number,
  buffers: Rotation | undefined,
): Promise<Uint8Array> {
  const length = Math.min(chunkBytes, end - position)
  const reading = length > 0 ? readPiece(file, position, length, buffers) : Promise.resolve(new Uint8Array())
  reading.catch(() => undefined)
  return reading
}

async function readPiece(
  file: FileHandle,
  position: number,
  length: number,
  buffers: Rotation | undefined,
): Promise<Uint8Array> {
  const { bytesRead, buffer } = await file.read(
    buffers?.next() ?? Buffer.allocUnsafeSlow(length),
    0,
    length,
    position,
  )
  return buffer.subarray(0, bytesRead)
}

/**
 * One buffer is with the reader, one is being filled; the third is with what the reader has given the one before to, and
 * which may not be through with it. Allocating anew costs more than filling.
 */
class Rotation {
  readonly #buffers: readonly Buffer[] = Array.from({ length: 3 }, () => Buffer.allocUnsafeSlow(chunkBytes))
  #turn = 0

  next(): Buffer | undefined {
    this.#turn = (this.#turn + 1) % this.#buffers.length
    return this.#buffers[this.#turn]
  }
}
