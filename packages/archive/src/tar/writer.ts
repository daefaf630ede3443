/**
 * Writes tars as Go's archive/tar does in its PAX format: a plain ustar header, preceded by PAX records only when
 * something does not fit. The ustar prefix field is never used; an archive ends with two blocks of zeros.
 */
import { blockSum } from './block.ts'
import {
  blockSize,
  paddingOf,
  type PaxRecord,
  type TarEntryType,
  typeflag,
  type XattrRecord,
} from './header.ts'
import { recordsFor } from './pax-writer.ts'

export interface TarEntry {
  /** Archive name: no leading slash, a trailing one for directories. */
  readonly name: Buffer
  readonly type: Exclude<TarEntryType, 'other'>
  /** With the file type bits, as Docker writes them. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Bytes of payload to follow; 0 for all but files. */
  readonly size: number
  readonly mtimeNs: bigint
  readonly linkName: Buffer
  readonly devMajor: number
  readonly devMinor: number
  readonly xattrs: readonly XattrRecord[]
  /** Further PAX records, of keys that are no fields above. */
  readonly records?: readonly PaxRecord[] | undefined
}

const flags: Readonly<Record<TarEntry['type'], number>> = {
  file: typeflag.regular,
  hardlink: typeflag.hardlink,
  symlink: typeflag.symlink,
  char: typeflag.char,
  block: typeflag.block,
  directory: typeflag.directory,
  fifo: typeflag.fifo,
}

const bufferSize = 512 * 1024
/** Payload space is handed out in pieces of at least this size. */
const leastSpace = 64 * 1024

/**
 * Collects headers and payload into large chunks. The `sink` gets a chunk that is reused afterwards: it is valid
 * only during the call.
 *
 * After `entry`, exactly its `size` bytes of payload are owed, through `space` and `wrote`, before the next one.
 */
export class TarWriter {
  readonly #sink: (chunk: Uint8Array) => void
  readonly #buffer: Buffer = Buffer.allocUnsafeSlow(bufferSize)
  #length = 0
  #owed = 0
  #padding = 0

  constructor(sink: (chunk: Uint8Array) => void) {
    this.#sink = sink
  }

  entry(entry: TarEntry): void {
    if (this.#owed > 0) throw new Error(`tar writer: ${this.#owed} bytes of payload are still owed`)
    const records = recordsFor(entry)
    if (records.length > 0) {
      const at = this.#block()
      writeFields(this.#buffer, at, paxName(entry.name), records.length, typeflag.pax)
      writeChecksum(this.#buffer, at)
      this.#copy(records)
      this.#zeros(paddingOf(records.length))
    }
    const at = this.#block()
    writeHeader(this.#buffer, at, entry)
    this.#owed = entry.size
    this.#padding = paddingOf(entry.size)
  }

  /** Room to put payload into; never empty. */
  space(): Buffer {
    if (bufferSize - this.#length < leastSpace) this.#flush()
    return this.#buffer.subarray(this.#length)
  }

  /** `length` bytes of payload are in `space` now. */
  wrote(length: number): void {
    if (length > this.#owed) throw new Error('tar writer: more payload than the header announced')
    this.#length += length
    this.#owed -= length
    if (this.#owed === 0) this.#endPayload()
  }

  /** The rest of the payload is zeros: for a file that shrank while it was read. */
  fill(): void {
    const owed = this.#owed
    this.#owed = 0
    this.#zeros(owed)
    this.#endPayload()
  }

  /** The end marker, and out with what is collected. */
  finish(): void {
    this.#zeros(2 * blockSize)
    this.#flush()
  }

  #endPayload(): void {
    this.#zeros(this.#padding)
    this.#padding = 0
  }

  /** Position of a fresh block of zeros. */
  #block(): number {
    if (bufferSize - this.#length < blockSize) this.#flush()
    const at = this.#length
    this.#length += blockSize
    this.#buffer.fill(0, at, this.#length)
    return at
  }

  #copy(bytes: Buffer): void {
    for (let from = 0; from < bytes.length;) {
      const copied = bytes.copy(this.#buffer, this.#length, from)
      this.#length += copied
      from += copied
      if (this.#length === bufferSize) this.#flush()
    }
  }

  #zeros(count: number): void {
    for (let left = count; left > 0;) {
      const step = Math.min(left, bufferSize - this.#length)
      this.#buffer.fill(0, this.#length, this.#length + step)
      this.#length += step
      left -= step
      if (this.#length === bufferSize) this.#flush()
    }
  }

  #flush(): void {
    if (this.#length > 0) this.#sink(this.#buffer.subarray(0, this.#length))
    this.#length = 0
  }
}

/** `<directory>/PaxHeaders.0/<base>`, which old readers extract as a file. */
function paxName(name: Buffer): Buffer {
  const split = name.lastIndexOf(0x2f) + 1
  const parts = [name.subarray(0, split), Buffer.from('PaxHeaders.0')]
  if (split < name.length) parts.push(Buffer.from('/'), name.subarray(split))
  return Buffer.concat(parts)
}

function writeHeader(buffer: Buffer, at: number, entry: TarEntry): void {
  writeFields(buffer, at, entry.name, entry.size, flags[entry.type])
  octal(buffer, at + 100, 7, entry.mode)
  octal(buffer, at + 108, 7, entry.uid)
  octal(buffer, at + 116, 7, entry.gid)
  octal(buffer, at + 136, 11, Number(entry.mtimeNs / 1_000_000_000n))
  text(buffer, at + 157, entry.linkName)
  octal(buffer, at + 329, 7, entry.devMajor)
  octal(buffer, at + 337, 7, entry.devMinor)
  writeChecksum(buffer, at)
}

/** What every header has, with zeros for owner, mode and time. */
function writeFields(buffer: Buffer, at: number, name: Buffer, size: number, flag: number): void {
  text(buffer, at, name)
  octal(buffer, at + 100, 7, 0)
  octal(buffer, at + 108, 7, 0)
  octal(buffer, at + 116, 7, 0)
  octal(buffer, at + 124, 11, size)
  octal(buffer, at + 136, 11, 0)
  buffer[at + 156] = flag
  buffer.write('ustar\x0000', at + 257, 'latin1')
}

function writeChecksum(buffer: Buffer, at: number): void {
  octal(buffer, at + 148, 6, blockSum(buffer, at))
  buffer[at + 155] = 0x20
}

/** Zero where the number does not fit: a PAX record has it then. */
function octal(buffer: Buffer, at: number, digits: number, value: number): void {
  let rest = value >= 0 && value < 8 ** digits ? value : 0
  for (let i = at + digits - 1; i >= at; i--) {
    buffer[i] = 0x30 + (rest % 8)
    rest = Math.floor(rest / 8)
  }
}

const fieldLength = 100
const slash = 0x2f

/** The ASCII bytes that fit; a cut that ends in a slash would make old readers see a directory. */
function text(buffer: Buffer, at: number, value: Buffer): void {
  let length = 0
  let dropped = false
  for (const byte of value) {
    if (byte >= 0x80) continue
    if (length === fieldLength) {
      dropped = true
      break
    }
    buffer[at + length++] = byte
  }
  while (dropped && length > 0 && buffer[at + length - 1] === slash) buffer[at + --length] = 0
}
