import { ftruncateSync, writeSync } from 'node:fs'
import type { SparseExtent, TarHeader } from '../tar/header.ts'
import type { Directory } from './directory.ts'

/** Writes a file's payload as it comes, each piece where it belongs. */
export class FileWriter {
  readonly fd: number
  readonly header: TarHeader
  readonly parent: Directory
  readonly #extents: readonly SparseExtent[]
  #extent = 0
  /** Bytes of the current extent that are written. */
  #within = 0

  constructor(fd: number, header: TarHeader, parent: Directory) {
    this.fd = fd
    this.header = header
    this.parent = parent
    this.#extents = header.sparse ?? []
  }

  write(chunk: Uint8Array): void {
    if (this.header.sparse === undefined) writeAll(this.fd, chunk, undefined)
    else this.#scatter(chunk)
  }

  /** A hole at the end is only in the file's size. */
  finish(): void {
    if (this.header.sparse !== undefined) ftruncateSync(this.fd, this.header.realSize)
  }

  #scatter(chunk: Uint8Array): void {
    let rest = chunk
    while (rest.length > 0) {
      const extent = this.#extents[this.#extent]
      if (extent === undefined) return
      const length = Math.min(rest.length, extent.length - this.#within)
      writeAll(this.fd, rest.subarray(0, length), extent.offset + this.#within)
      rest = rest.subarray(length)
      this.#within += length
      if (this.#within < extent.length) continue
      this.#extent++
      this.#within = 0
    }
  }
}

export function writeAll(fd: number, chunk: Uint8Array, position: number | undefined): void {
  for (let at = 0; at < chunk.length;) {
    at += writeSync(fd, chunk, at, chunk.length - at, position === undefined ? null : position + at)
  }
}
