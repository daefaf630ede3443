import type { CallOptions } from '@graphdriver/core'
import { invalidImage } from './invalid-image.ts'

/** The files an image is made of, wherever they lie: in a directory, or in a tar. */
export interface ImageFiles extends AsyncDisposable {
  /** The regular file of this name; `undefined` when there is none. Never one from outside. */
  find(name: string): Promise<ImageFile | undefined>
}

export interface ReadOptions extends CallOptions {
  /** A chunk is good only until the next one is asked for: its memory is used again. */
  readonly transient?: boolean | undefined
}

export interface ImageFile {
  /** Bytes. */
  readonly size: number
  read(options?: ReadOptions): AsyncIterable<Uint8Array>
}

/**
 * All of a file that has to fit into memory.
 *
 * @throws GD_IMAGE_INVALID when it is longer than `limit`, GD_IMAGE_INVALID when it is not there
 */
export async function readWhole(
  files: ImageFiles,
  name: string,
  limit: number,
  source: string,
  options: CallOptions = {},
): Promise<Uint8Array> {
  const file = await files.find(name)
  if (file === undefined) throw missingFile(source, name)
  if (file.size > limit) {
    throw invalidImage(source, `has ${file.size} bytes in '${name}' where at most ${limit} are accepted`)
  }
  return Buffer.concat(await Array.fromAsync(file.read(options)))
}

export function missingFile(source: string, name: string): Error {
  return invalidImage(source, `has no '${name}', which it refers to; it is incomplete, make it again`)
}
