/**
 * A synchronous push parser for tar, made for large buffers: what lies whole inside a chunk is read in place, and
 * only a block that two chunks share is copied.
 *
 * Where formats differ in what they tolerate, it follows Go's archive/tar, which decides what images exist:
 * - an archive may end at any block boundary between entries, or inside the padding of the last one;
 * - one block of zeros followed by anything but a second is an error, followed by the end it is the end;
 * - whatever follows the end marker is not looked at.
 */
import { blockSum, decodeBlock, isZeroBlock, settle, verifyChecksum } from './block.ts'
import { Extensions, isExtension } from './extensions.ts'
import {
  blockSize,
  type HeaderDraft,
  paddingOf,
  type SparseExtent,
  type TarHeader,
  typeflag,
} from './header.ts'
import { type ArchiveLimits, defaultLimits, invalidArchive } from './limits.ts'
import { PayloadMap, readOldGnu, readOldGnuExtension, settleSparse } from './sparse.ts'

/** Receives an archive in the order of its bytes. Chunks are views, valid only during the call. */
export interface TarHandler {
  header(header: TarHeader): void
  /** A piece of the current entry's payload, without padding. */
  data(chunk: Uint8Array): void
  /** The current entry is complete; called for entries without payload too. */
  end?(): void
  /** Every byte that is not payload, verbatim: headers, extension headers, padding, end marker, what follows it. */
  raw?(bytes: Uint8Array): void
  /** The end marker was read, and passed as raw; what follows is not the archive's. */
  endMarker?(): void
}

/** What the next bytes are. */
type State =
  | 'header'
  | 'extension'
  | 'sparse-block'
  | 'sparse-map'
  | 'payload'
  | 'padding'
  | 'zero-block'
  | 'trailer'

export class TarParser {
  readonly #handler: TarHandler
  readonly #limits: ArchiveLimits
  #state: State = 'header'
  /** Bytes of the archive before the current chunk. */
  #before = 0
  /** Where in the current chunk the raw bytes begin that the handler has not had. */
  #rawFrom = 0
  /** A block that began in an earlier chunk. */
  readonly #split: Buffer = Buffer.allocUnsafe(blockSize)
  #splitLength = 0
  /** Bytes left of the payload or the padding. */
  #left = 0
  #entries = 0
  #bytes = 0
  readonly #extensions: Extensions
  /** The entry whose header or payload is being read. */
  #draft: HeaderDraft | undefined
  #extents: SparseExtent[] = []
  #map: PayloadMap | undefined
  #mapBytes = 0

  constructor(handler: TarHandler, limits: Partial<ArchiveLimits> = {}) {
    this.#handler = handler
    this.#limits = { ...defaultLimits, ...limits }
    this.#extensions = new Extensions(this.#limits.maxPaxBytes)
  }

  /** @throws GD_ARCHIVE_INVALID, and whatever the handler throws; the parser is of no use afterwards */
  push(chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    this.#rawFrom = 0
    let at = 0
    while (at < bytes.length) at = this.#step(bytes, at)
    this.#flushRaw(bytes, at)
    this.#before += bytes.length
  }

  /** @throws GD_ARCHIVE_INVALID when the archive ends inside an entry */
  finish(): void {
    if (this.#state === 'trailer' || this.#state === 'padding') return
    const between = this.#state === 'header' || this.#state === 'zero-block'
    if (between && this.#splitLength === 0 && !this.#extensions.pending) return
    throw invalidArchive('the archive is truncated', this.#before, this.#draft?.name)
  }

  /** Consumes at least one byte at `at`. @returns the position after what was consumed */
  #step(bytes: Buffer, at: number): number {
    switch (this.#state) {
      case 'payload':
        return this.#payload(bytes, at)
      case 'padding':
        return this.#padding(bytes, at)
      case 'extension':
        return this.#extension(bytes, at)
      case 'trailer':
        return bytes.length
      case 'header':
      case 'zero-block':
      case 'sparse-block':
      case 'sparse-map':
        return this.#block(bytes, at)
    }
  }

  #block(bytes: Buffer, at: number): number {
    if (this.#splitLength === 0 && bytes.length - at >= blockSize) {
      this.#wholeBlock(bytes, at, bytes, at + blockSize)
      return at + blockSize
    }
    const taken = Math.min(blockSize - this.#splitLength, bytes.length - at)
    bytes.copy(this.#split, this.#splitLength, at, at + taken)
    this.#splitLength += taken
    if (this.#splitLength === blockSize) {
      this.#splitLength = 0
      this.#wholeBlock(this.#split, 0, bytes, at + taken)
    }
    return at + taken
  }

  /** `block` at `at` is complete; in `bytes` it ends at `end`. */
  #wholeBlock(block: Buffer, at: number, bytes: Buffer, end: number): void {
    const draft = this.#draft
    if (draft !== undefined && this.#state === 'sparse-block') {
      this.#countMap(draft)
      if (!readOldGnuExtension(block, at, draft, this.#extents)) this.#begin(draft, bytes, end, true)
    } else if (draft !== undefined && this.#map !== undefined) {
      this.#countMap(draft)
      if (draft.size < blockSize) throw invalidArchive('sparse map is malformed', draft.offset, draft.name)
      draft.size -= blockSize
      const extents = this.#map.add(block, at)
      if (extents === undefined) return
      this.#extents = [...extents]
      this.#begin(draft, bytes, end, true)
    } else this.#header(block, at, bytes, end)
  }

  #countMap(draft: HeaderDraft): void {
    this.#mapBytes += blockSize
    if (this.#mapBytes <= this.#limits.maxPaxBytes) return
    throw invalidArchive(`sparse map exceeds ${this.#limits.maxPaxBytes} bytes`, draft.offset, draft.name)
  }

  #header(block: Buffer, at: number, bytes: Buffer, end: number): void {
    const offset = this.#before + end - blockSize
    const sum = blockSum(block, at)
    if (isZeroBlock(block, at, sum)) {
      if (this.#extensions.pending) throw invalidArchive('the archive ends after an extension header', offset)
      if (this.#state === 'header') {
        this.#state = 'zero-block'
        return
      }
      this.#state = 'trailer'
      this.#flushRaw(bytes, end)
      this.#handler.endMarker?.()
      return
    }
    if (this.#state === 'zero-block')
      throw invalidArchive('a single block of zeros stands before an entry', offset)
    verifyChecksum(block, at, sum, offset)
    const draft = decodeBlock(block, at, this.#extensions.startOf(offset))
    if (!isExtension(draft.typeflag)) this.#resolve(draft, block, at, bytes, end)
    else if (this.#extensions.begin(draft)) this.#state = 'extension'
  }

  #extension(bytes: Buffer, at: number): number {
    const taken = this.#extensions.collect(bytes, at)
    if (this.#extensions.complete) this.#state = 'header'
    return at + taken
  }

  /** `block` is the entry's own header; only a sparse map may still come before its payload. */
  #resolve(draft: HeaderDraft, block: Buffer, at: number, bytes: Buffer, end: number): void {
    const sparse = this.#extensions.resolve(draft)
    settle(draft)
    this.#check(draft)
    this.#draft = draft
    this.#mapBytes = 0
    if (draft.typeflag === typeflag.gnuSparse) {
      this.#extents = []
      if (readOldGnu(block, at, draft, this.#extents)) this.#state = 'sparse-block'
      else this.#begin(draft, bytes, end, true)
    } else if (sparse === 'in-payload') {
      this.#map = new PayloadMap(draft)
      this.#state = 'sparse-map'
    } else {
      this.#extents = sparse === 'none' ? [] : [...sparse]
      this.#begin(draft, bytes, end, sparse !== 'none')
    }
  }

  #check(draft: HeaderDraft): void {
    const { maxNameBytes, maxEntries, maxDepth } = this.#limits
    const { offset, name } = draft
    if (name.length > maxNameBytes) throw invalidArchive(`name exceeds ${maxNameBytes} bytes`, offset, name)
    if (name.includes(0)) throw invalidArchive('name contains NUL', offset, name)
    if (draft.linkName.length > maxNameBytes) {
      throw invalidArchive(`link target exceeds ${maxNameBytes} bytes`, offset, name)
    }
    this.#entries++
    if (this.#entries > maxEntries)
      throw invalidArchive(`more than ${maxEntries} entries, which is the limit`, offset, name)
    if (maxDepth < maxNameBytes && depthOf(name) > maxDepth)
      throw invalidArchive(`deeper than ${maxDepth} directories, which is the limit`, offset, name)
  }

  #countBytes({ realSize, offset, name }: HeaderDraft): void {
    const { maxBytes } = this.#limits
    this.#bytes += realSize
    if (this.#bytes > maxBytes)
      throw invalidArchive(`more than ${maxBytes} bytes of files, which is the limit`, offset, name)
  }

  /** All that precedes the payload is read: hands the entry over. */
  #begin(draft: HeaderDraft, bytes: Buffer, end: number, sparse: boolean): void {
    if (sparse) settleSparse(draft, this.#extents)
    this.#map = undefined
    this.#flushRaw(bytes, end)
    this.#countBytes(draft)
    this.#handler.header(draft)
    this.#left = draft.size
    if (this.#left === 0) this.#endPayload(end)
    else this.#state = 'payload'
  }

  #payload(bytes: Buffer, at: number): number {
    const end = at + Math.min(this.#left, bytes.length - at)
    this.#handler.data(bytes.subarray(at, end))
    this.#left -= end - at
    this.#rawFrom = end
    if (this.#left === 0) this.#endPayload(end)
    return end
  }

  #endPayload(at: number): void {
    this.#handler.end?.()
    this.#rawFrom = at
    this.#left = paddingOf(this.#draft?.size ?? 0)
    this.#draft = undefined
    this.#state = this.#left === 0 ? 'header' : 'padding'
  }

  #padding(bytes: Buffer, at: number): number {
    const taken = Math.min(this.#left, bytes.length - at)
    this.#left -= taken
    if (this.#left === 0) this.#state = 'header'
    return at + taken
  }

  #flushRaw(bytes: Buffer, end: number): void {
    if (end > this.#rawFrom) this.#handler.raw?.(bytes.subarray(this.#rawFrom, end))
    this.#rawFrom = end
  }
}

/** Directories in which a name says that its file is, and the file. */
function depthOf(name: Buffer): number {
  let depth = 0
  let at = 0
  for (let end = name.indexOf(slash, at); end !== -1; at = end + 1, end = name.indexOf(slash, at))
    if (end > at) depth++
  return at < name.length ? depth + 1 : depth
}

const slash = 0x2f
