import type { DiffId, Digest } from '@graphdriver/core'
import { verified } from './digest-check.ts'
import type { ImageFile, ReadOptions } from './image-files.ts'
import type { SourceLayer } from './image-source.ts'

/** A layer that is one file of its source. */
export class StoredLayer implements SourceLayer {
  readonly diffId: DiffId
  readonly blob: string
  readonly size: number
  readonly digest: Digest | undefined
  readonly #file: ImageFile

  constructor(diffId: DiffId, blob: string, file: ImageFile, digest: Digest | undefined) {
    this.diffId = diffId
    this.blob = blob
    this.size = file.size
    this.digest = digest
    this.#file = file
  }

  open(options?: ReadOptions): AsyncIterable<Uint8Array> {
    const bytes = this.#file.read(options)
    return this.digest === undefined ? bytes : verified(bytes, this.digest, this.blob)
  }
}
