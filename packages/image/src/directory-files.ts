import { constants } from 'node:fs'
import { type FileHandle, open, realpath } from 'node:fs/promises'
import path from 'node:path'
import { isSystemError } from '@graphdriver/sys'
import { readRange } from './byte-range.ts'
import type { ImageFile, ImageFiles, ReadOptions } from './image-files.ts'

/**
 * The files of a directory. Symlinks are followed as long as they stay inside (tools link shared blobs), and only
 * regular files are opened: a fifo would wait for ever, a device never end.
 */
export class DirectoryFiles implements ImageFiles {
  readonly #root: string

  private constructor(root: string) {
    this.#root = root
  }

  static async open(directory: string): Promise<DirectoryFiles> {
    return new DirectoryFiles(await realpath(directory))
  }

  async find(name: string): Promise<ImageFile | undefined> {
    await using file = await this.#open(name)
    if (file === undefined) return undefined
    const { size } = await file.stat()
    return { size, read: (options) => this.#read(name, size, options) }
  }

  async #open(name: string): Promise<FileHandle | undefined> {
    let file: FileHandle
    try {
      const target = await realpath(path.join(this.#root, name))
      if (!target.startsWith(this.#root.replace(/\/?$/, path.sep))) return undefined
      file = await open(
        target,
        constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0),
      )
    } catch (error) {
      if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO')) return undefined
      throw error
    }
    if ((await file.stat()).isFile()) return file
    await file.close()
    return undefined
  }

  async *#read(name: string, size: number, options: ReadOptions = {}): AsyncGenerator<Uint8Array> {
    await using file = await this.#open(name)
    if (file === undefined) return
    yield* readRange(file, 0, size, path.join(this.#root, name), options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Files are open only while they are read.
  }
}
