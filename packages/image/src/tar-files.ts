import type { FileHandle } from 'node:fs/promises'
import type { CallOptions } from '@graphdriver/core'
import { readRange } from './byte-range.ts'
import type { ImageFile, ImageFiles } from './image-files.ts'
import { invalidImage } from './invalid-image.ts'
import { indexTar, type TarIndex } from './tar-index.ts'

/** The files of a tar, read in place at the offsets that its index has. */
export class TarFiles implements ImageFiles {
  readonly index: TarIndex
  readonly #file: FileHandle
  readonly #source: string

  private constructor(file: FileHandle, index: TarIndex, source: string) {
    this.#file = file
    this.index = index
    this.#source = source
  }

  /** Takes `file` over: it is closed by disposing, or by a failure here. @throws GD_IMAGE_INVALID */
  static async open(file: FileHandle, source: string, options: CallOptions = {}): Promise<TarFiles> {
    try {
      const { size } = await file.stat()
      return new TarFiles(file, await indexTar(file, size, source, options), source)
    } catch (error) {
      await file.close()
      throw error
    }
  }

  async find(name: string): Promise<ImageFile | undefined> {
    const entry = this.index.file(name)
    if (entry === undefined) return undefined
    if (entry.sparse) {
      throw invalidImage(this.#source, `holds '${name}' as a sparse file; pack it again without --sparse`)
    }
    const { start, size } = entry
    return { size, read: (options) => readRange(this.#file, start, size, this.#source, options) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close()
  }
}
