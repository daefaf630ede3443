import { cleanName } from '../apply/entry-path.ts'
import { Crc64 } from '../crc64.ts'
import type { TarHeader } from '../tar/header.ts'
import { type ArchiveLimits, invalidArchive } from '../tar/limits.ts'
import { type TarHandler, TarParser } from '../tar/parser.ts'
import { LineBuffer } from './line-buffer.ts'
import { formatFile, formatSegment } from './record.ts'

const largestSegment = 1024 * 1024

/**
 * Writes the tar-split recipe of a tar that is pushed through: the uncompressed lines, in large chunks that belong
 * to `sink` from then on.
 *
 * The content of a sparse file is kept in the recipe itself: the tree holds the file with its holes, of which the
 * archived runs are one description among many. Where the end is padded, it depends on how its reader met the pieces
 * into how many segments Docker cuts the padding; all else is Docker's, byte for byte. Two entries of the
 * same path are refused, since only the later one's content will be there to read.
 */
export class TarSplitter {
  readonly #parser: TarParser
  readonly #records: Records

  constructor(sink: (bytes: Uint8Array) => void, limits: Partial<ArchiveLimits> = {}) {
    this.#records = new Records(sink)
    this.#parser = new TarParser(this.#records, limits)
  }

  /** @throws GD_ARCHIVE_INVALID */
  push(chunk: Uint8Array): void {
    this.#parser.push(chunk)
  }

  /** The tar has ended: writes what is left. @throws GD_ARCHIVE_INVALID when it ended too early */
  finish(): void {
    this.#parser.finish()
    this.#records.finish()
  }
}

class Records implements TarHandler {
  readonly #lines: LineBuffer
  readonly #names = new Set<string>()
  readonly #crc = new Crc64()
  readonly #segment: Buffer = Buffer.allocUnsafeSlow(largestSegment)
  #segmentLength = 0
  #position = 0
  #file: { readonly name: Buffer; readonly size: number } | undefined

  constructor(sink: (bytes: Uint8Array) => void) {
    this.#lines = new LineBuffer(sink)
  }

  raw(bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length;) {
      const piece = bytes.subarray(from, from + largestSegment - this.#segmentLength)
      this.#segment.set(piece, this.#segmentLength)
      this.#segmentLength += piece.length
      from += piece.length
      if (this.#segmentLength === largestSegment) this.#endSegment()
    }
  }

  header(header: TarHeader): void {
    this.#refuseSecond(header)
    this.#endSegment()
    if (header.sparse === undefined) this.#file = header
    else this.#lines.add(formatFile({ name: header.name, size: 0, checksum: undefined }, this.#position++))
  }

  data(chunk: Uint8Array): void {
    if (this.#file === undefined) this.raw(chunk)
    else this.#crc.update(chunk)
  }

  end(): void {
    if (this.#file === undefined) return
    const { name, size } = this.#file
    const checksum = size > 0 ? this.#crc.digest() : undefined
    this.#lines.add(formatFile({ name, size, checksum }, this.#position++))
    this.#file = undefined
    this.#crc.reset()
  }

  /** tar-split keeps apart what ends the archive and what follows it. */
  endMarker(): void {
    this.#endSegment()
  }

  finish(): void {
    this.#endSegment()
    // Docker up to 20.10 always wrote one more, empty segment, and all its versions read it.
    this.#lines.add(formatSegment(empty, this.#position++))
    this.#lines.flush()
  }

  #endSegment(): void {
    if (this.#segmentLength === 0) return
    this.#lines.add(formatSegment(this.#segment.subarray(0, this.#segmentLength), this.#position++))
    this.#segmentLength = 0
  }

  #refuseSecond({ name, offset }: TarHeader): void {
    const path = cleanName(name) ?? name.toString('latin1')
    if (this.#names.has(path)) {
      throw invalidArchive('a second entry of this path, which no stored layer may have', offset, name)
    }
    this.#names.add(path)
  }
}

const empty = Buffer.alloc(0)
