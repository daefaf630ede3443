/**
 * Backup streams: what BackupRead tells of a file and BackupWrite makes one of. Each is a header, WIN32_STREAM_ID, with
 * its name and its bytes.
 *
 * @see https://learn.microsoft.com/windows/win32/api/winbase/ns-winbase-win32_stream_id
 */
import { invalidLayer } from './invalid.ts'

export const streamId = {
  data: 1,
  extendedAttributes: 2,
  security: 3,
  alternateData: 4,
  link: 5,
  property: 6,
  objectId: 7,
  reparse: 8,
  sparseBlock: 9,
  transaction: 10,
} as const

export type StreamId = (typeof streamId)[keyof typeof streamId]

/** Attributes of a stream. */
export const streamAttribute = {
  /** Its bytes follow as sparse blocks. */
  sparse: 8,
} as const

export interface BackupStream {
  readonly id: StreamId
  /** Bits of `streamAttribute` and others of Windows's. */
  readonly attributes: number
  /** Of an alternate stream, as `:name:$DATA`; else empty. */
  readonly name: string
  /** Bytes that follow. */
  readonly size: number
  /** Of a sparse block: where in the file its bytes are. */
  readonly offset: number | undefined
}

const headerLength = 20
const offsetLength = 8
/** NTFS has names of 255 characters; with two colons and `$DATA` that is less than this. */
const longestName = 1024

const known: ReadonlySet<number> = new Set(Object.values(streamId))

/** The header of a stream, its name, and the offset of a sparse block: all that stands before its bytes. */
export function backupHeader(stream: Partial<BackupStream> & Pick<BackupStream, 'id' | 'size'>): Buffer {
  const { id, attributes = 0, size, offset } = stream
  const name = Buffer.from(stream.name ?? '', 'utf16le')
  const rest = Buffer.alloc(offset === undefined ? 0 : offsetLength)
  if (offset !== undefined) rest.writeBigUInt64LE(BigInt(offset))
  const head = Buffer.alloc(headerLength)
  head.writeUInt32LE(id, 0)
  head.writeUInt32LE(attributes, 4)
  head.writeBigUInt64LE(BigInt(size + rest.length), 8)
  head.writeUInt32LE(name.length, 16)
  return Buffer.concat([head, name, rest])
}

/** A whole stream. */
export function backupStream(id: StreamId, bytes: Uint8Array, name = ''): Buffer {
  return Buffer.concat([backupHeader({ id, size: bytes.length, name }), bytes])
}

/** Hears of streams in their order. Chunks are views, valid only during the call. */
export interface BackupHandler {
  stream(stream: BackupStream): void
  data(chunk: Uint8Array): void
  end(): void
}

/** A synchronous push parser. It holds a header, never the bytes of a stream. */
export class BackupParser {
  readonly #handler: BackupHandler
  readonly #subject: string | undefined
  /** What there is of a header that is not whole. */
  #head: Buffer = Buffer.alloc(0)
  /** Bytes left of the stream; -1 between streams. */
  #left = -1
  #position = 0

  /** @param subject whose streams they are, for errors */
  constructor(handler: BackupHandler, subject?: string) {
    this.#handler = handler
    this.#subject = subject
  }

  /** @throws GD_ARCHIVE_INVALID for a header that is none */
  push(chunk: Uint8Array): void {
    let at = 0
    while (at < chunk.length) {
      if (this.#left === -1) at += this.#header(chunk, at)
      else at += this.#data(chunk, at)
    }
  }

  /** @throws GD_ARCHIVE_INVALID in the middle of something */
  finish(): void {
    if (this.#left !== -1 || this.#head.length > 0)
      throw this.#invalid('it ends in the middle of a backup stream')
  }

  #data(chunk: Uint8Array, at: number): number {
    const length = Math.min(this.#left, chunk.length - at)
    this.#handler.data(chunk.subarray(at, at + length))
    this.#position += length
    this.#left -= length
    this.#endWhenDone()
    return length
  }

  #header(chunk: Uint8Array, at: number): number {
    const wanted = this.#wanted()
    const taken = Math.min(wanted - this.#head.length, chunk.length - at)
    this.#head = Buffer.concat([this.#head, chunk.subarray(at, at + taken)])
    this.#position += taken
    if (this.#head.length === this.#wanted()) this.#begin()
    return taken
  }

  /** How long the header is, as far as that is known. */
  #wanted(): number {
    if (this.#head.length < headerLength) return headerLength
    const id = this.#head.readUInt32LE(0)
    const nameLength = this.#head.readUInt32LE(16)
    if (!known.has(id)) throw this.#invalid(`${id} is no kind of backup stream`)
    if (nameLength > longestName || nameLength % 2 !== 0)
      throw this.#invalid(`a name of ${nameLength} bytes cannot be`)
    return headerLength + nameLength + (id === streamId.sparseBlock ? offsetLength : 0)
  }

  #begin(): void {
    const head = this.#head
    const id = head.readUInt32LE(0) as StreamId
    const isBlock = id === streamId.sparseBlock
    const size = this.#number(head.readBigUInt64LE(8)) - (isBlock ? offsetLength : 0)
    if (size < 0) throw this.#invalid('a sparse block is too short to say where it is')
    const nameEnd = head.length - (isBlock ? offsetLength : 0)
    this.#head = Buffer.alloc(0)
    this.#left = size
    this.#handler.stream({
      id,
      attributes: head.readUInt32LE(4),
      name: head.toString('utf16le', headerLength, nameEnd),
      size,
      offset: isBlock ? this.#number(head.readBigUInt64LE(nameEnd)) : undefined,
    })
    this.#endWhenDone()
  }

  #endWhenDone(): void {
    if (this.#left !== 0) return
    this.#left = -1
    this.#handler.end()
  }

  #number(value: bigint): number {
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw this.#invalid(`a length of ${value} bytes cannot be`)
    return Number(value)
  }

  #invalid(reason: string): Error {
    return invalidLayer(reason, this.#subject, this.#position)
  }
}
