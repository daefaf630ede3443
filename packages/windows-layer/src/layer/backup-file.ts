/** A file between the two forms that it has in a layer: in the tar, and as backup streams. */
import {
  type BackupHandler,
  backupHeader,
  type BackupStream,
  backupStream,
  streamAttribute,
  streamId,
} from './backup-stream.ts'
import { decodeExtendedAttributes, encodeExtendedAttributes } from './extended-attributes.ts'
import { fileAttribute, type WindowsFile } from './file.ts'
import { invalidLayer } from './invalid.ts'
import { decodeReparsePoint, encodeReparsePoint } from './reparse-point.ts'

/** All that BackupWrite is to be told of a file before its data, the header of the data included. */
export function leadingStreams(file: WindowsFile): Buffer {
  const { name, security, extendedAttributes, reparsePoint, attributes, size } = file
  const streams: Buffer[] = []
  if (security !== undefined) streams.push(backupStream(streamId.security, security))
  if (extendedAttributes.length > 0)
    streams.push(
      backupStream(streamId.extendedAttributes, encodeExtendedAttributes(extendedAttributes, name)),
    )
  if (reparsePoint !== undefined)
    streams.push(backupStream(streamId.reparse, encodeReparsePoint(reparsePoint, name)))
  else if ((attributes & fileAttribute.directory) === 0)
    streams.push(backupHeader({ id: streamId.data, size }))
  return Buffer.concat(streams)
}

/** The header of a further stream, before its bytes. */
export function alternateHeader(name: string, size: number): Buffer {
  return backupHeader({ id: streamId.alternateData, name: `:${name}:$DATA`, size })
}

/** What the backup streams of a file say beside its bytes. */
export type BackupMetadata = Pick<
  WindowsFile,
  'security' | 'extendedAttributes' | 'reparsePoint' | 'size'
> & {
  /** Further streams, in their order. */
  readonly streams: readonly { readonly name: string; readonly size: number }[]
}

/** Security descriptors and lists of attributes are bounded by this, reparse points by less. */
const longestMetadata = 64 * 1024

const collected: ReadonlySet<number> = new Set([
  streamId.security,
  streamId.extendedAttributes,
  streamId.reparse,
])

/** Collects what backup streams say, in a first pass over them: data may stand before the rest. */
export class MetadataCollector implements BackupHandler {
  readonly #entry: string
  readonly #parts = new Map<number, Buffer[]>()
  readonly #streams: { name: string; size: number }[] = []
  #current: Buffer[] | undefined
  #size = 0

  /** @param entry the file's name, for errors */
  constructor(entry: string) {
    this.#entry = entry
  }

  /** @throws GD_ARCHIVE_INVALID, GD_ARCHIVE_UNSUPPORTED */
  result(): BackupMetadata {
    const part = (id: number): Buffer | undefined => {
      const chunks = this.#parts.get(id)
      return chunks === undefined ? undefined : Buffer.concat(chunks)
    }
    const list = part(streamId.extendedAttributes)
    const point = part(streamId.reparse)
    return {
      security: part(streamId.security),
      extendedAttributes: list === undefined ? [] : decodeExtendedAttributes(list, this.#entry),
      reparsePoint: point === undefined ? undefined : decodeReparsePoint(point, this.#entry),
      size: this.#size,
      streams: this.#streams,
    }
  }

  stream({ id, name, size, offset }: BackupStream): void {
    this.#current = undefined
    if (collected.has(id)) this.#collect(id, size)
    else if (id === streamId.data) this.#size = size
    else if (id === streamId.sparseBlock) this.#size = Math.max(this.#size, (offset ?? 0) + size)
    else if (id === streamId.alternateData) this.#streams.push({ name: this.#streamName(name), size })
  }

  data(chunk: Uint8Array): void {
    this.#current?.push(Buffer.from(chunk))
  }

  end(): void {
    this.#current = undefined
  }

  #collect(id: number, size: number): void {
    if (this.#parts.has(id)) throw invalidLayer(`it has two backup streams of the kind ${id}`, this.#entry)
    if (size > longestMetadata)
      throw invalidLayer(`its backup stream of the kind ${id} has ${size} bytes`, this.#entry)
    this.#current = []
    this.#parts.set(id, this.#current)
  }

  /** `:name:$DATA`. */
  #streamName(name: string): string {
    const match = /^:([^:]+)(?::\$DATA)?$/.exec(name)
    if (match?.[1] === undefined) throw invalidLayer(`'${name}' is no name of a stream`, this.#entry)
    return match[1]
  }
}

/** Where the bytes of a file go, in a second pass. */
export interface ContentSink {
  /** A further stream begins. */
  stream(name: string, size: number): void
  data(chunk: Uint8Array): void
}

const zeros = Buffer.alloc(64 * 1024)

/** Tells the bytes of the unnamed stream, gaps of sparse files as zeros, and of the further ones. */
export class ContentReader implements BackupHandler {
  readonly #sink: ContentSink
  readonly #metadata: BackupMetadata
  readonly #entry: string
  #tells = false
  /** Bytes of the unnamed stream that were told. */
  #position = 0
  #further = 0

  constructor(metadata: BackupMetadata, sink: ContentSink, entry: string) {
    this.#metadata = metadata
    this.#sink = sink
    this.#entry = entry
  }

  stream({ id, offset = 0, attributes }: BackupStream): void {
    this.#tells = id === streamId.data || id === streamId.sparseBlock || id === streamId.alternateData
    if (id === streamId.sparseBlock) this.#fill(offset)
    if (id !== streamId.alternateData) return
    if ((attributes & streamAttribute.sparse) !== 0)
      throw invalidLayer('it has a further stream that is sparse', this.#entry)
    const { name, size } = this.#metadata.streams[this.#further++] ?? { name: '', size: 0 }
    this.#sink.stream(name, size)
  }

  data(chunk: Uint8Array): void {
    if (!this.#tells) return
    this.#sink.data(chunk)
    if (this.#further === 0) this.#position += chunk.length
  }

  end(): void {
    this.#tells = false
  }

  /** @throws GD_ARCHIVE_INVALID for a block that is not after the one before it */
  #fill(offset: number): void {
    if (offset < this.#position) throw invalidLayer('its sparse blocks overlap', this.#entry)
    while (this.#position < offset) {
      const length = Math.min(zeros.length, offset - this.#position)
      this.#sink.data(zeros.subarray(0, length))
      this.#position += length
    }
  }
}
