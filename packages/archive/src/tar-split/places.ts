import { isGraphDriverError } from '@graphdriver/core'
import { type LayerFile, LayerFiles } from './layer-file.ts'
import type { FileRecord } from './record.ts'

/** Where the files of a layer are that are not beneath its root. */
export type Elsewhere = (() => Promise<string>) | undefined

/** The files of a layer in one place, and those that are not there in another. */
export class Places implements Disposable {
  readonly #files: LayerFiles
  readonly #elsewhere: Elsewhere
  #others: LayerFiles | undefined

  constructor(root: string, elsewhere: Elsewhere) {
    this.#files = new LayerFiles(root)
    this.#elsewhere = elsewhere
  }

  /** @throws GD_LAYER_CORRUPT, of the first place */
  async open(record: FileRecord): Promise<LayerFile> {
    try {
      return this.#files.open(record)
    } catch (error) {
      if (this.#elsewhere === undefined || !isGraphDriverError(error, 'GD_LAYER_CORRUPT')) throw error
      this.#others ??= new LayerFiles(await this.#elsewhere())
      try {
        return this.#others.open(record)
      } catch {
        throw error
      }
    }
  }

  [Symbol.dispose](): void {
    this.#others?.[Symbol.dispose]()
    this.#files[Symbol.dispose]()
  }
}
