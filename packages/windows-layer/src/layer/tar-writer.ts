/** Writes the tar of a Windows layer, byte for byte as Microsoft's Go code does. */
import { TarWriter } from '@graphdriver/archive'
import { entryOf, plainEntry, streamEntryOf, type WindowsFile } from './file.ts'
import type { LayerHandler } from './tar-reader.ts'

/** Takes what a `LayerTarReader` tells. */
export class LayerTarWriter implements LayerHandler {
  readonly #tar: TarWriter
  #file: WindowsFile | undefined

  /** @param sink gets chunks that are reused afterwards: they are valid only during the call */
  constructor(sink: (chunk: Uint8Array) => void) {
    this.#tar = new TarWriter(sink)
  }

  file(file: WindowsFile): void {
    this.#file = file
    this.#tar.entry(entryOf(file))
  }

  stream(name: string, size: number): void {
    if (this.#file === undefined) throw new Error('a stream is a file’s')
    this.#tar.entry(streamEntryOf(this.#file, name, size))
  }

  data(chunk: Uint8Array): void {
    for (let from = 0; from < chunk.length;) {
      const space = this.#tar.space()
      const piece = chunk.subarray(from, from + space.length)
      space.set(piece)
      this.#tar.wrote(piece.length)
      from += piece.length
    }
  }

  end(): void {
    this.#file = undefined
  }

  link(name: string, target: string): void {
    this.#tar.entry({ ...plainEntry(name), type: 'hardlink', linkName: Buffer.from(target) })
  }

  remove(name: string): void {
    const split = name.lastIndexOf('/') + 1
    this.#tar.entry(plainEntry(`${name.slice(0, split)}.wh.${name.slice(split)}`))
  }

  finish(): void {
    this.#tar.finish()
  }
}
