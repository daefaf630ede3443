/**
 * Reads one 512-byte header block: old v7, POSIX ustar, GNU and star, told apart by their magic bytes.
 *
 * @see https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html and the GNU tar manual, "Basic Tar Format"
 */
import {
  blockSize,
  entryTypeOf,
  hasPayload,
  type HeaderDraft,
  type PaxRecord,
  typeflag,
  type XattrRecord,
} from './header.ts'
import { invalidArchive } from './limits.ts'

const empty: Buffer = Buffer.alloc(0)
const noXattrs: readonly XattrRecord[] = []
const noPax: readonly PaxRecord[] = []
const space = 0x20
const nanoseconds = 1_000_000_000n

const checksumStart = 148
const checksumEnd = 156
/** The checksum of a block of zeros, its own field counted as spaces. */
const zeroSum = 8 * space

/** The sum of all bytes with the checksum field taken as spaces; `isZeroBlock` tells from it. */
export function blockSum(block: Uint8Array, at: number): number {
  let sum = zeroSum
  for (let i = at; i < at + checksumStart; i++) sum += block[i] ?? 0
  for (let i = at + checksumEnd; i < at + blockSize; i++) sum += block[i] ?? 0
  return sum
}

export function isZeroBlock(block: Uint8Array, at: number, sum: number): boolean {
  if (sum !== zeroSum) return false
  for (let i = at + checksumStart; i < at + checksumEnd; i++) if (block[i] !== 0) return false
  return true
}

/** Some early writers summed bytes as signed. */
function signedSum(block: Uint8Array, at: number, sum: number): number {
  let signed = sum
  for (let i = at; i < at + blockSize; i++) {
    const inChecksum = i >= at + checksumStart && i < at + checksumEnd
    if (!inChecksum && (block[i] ?? 0) >= 0x80) signed -= 256
  }
  return signed
}

export function verifyChecksum(block: Uint8Array, at: number, sum: number, offset: number): void {
  const stored = octal(block, at + checksumStart, checksumEnd - checksumStart)
  if (stored === sum || stored === signedSum(block, at, sum)) return
  throw invalidArchive('header checksum does not match; this is no tar, or it is damaged', offset)
}

/** Octal digits between spaces and NULs; `undefined` for anything else. Empty is 0, as every reader has it. */
function octal(block: Uint8Array, at: number, length: number): number | undefined {
  const end = at + length
  let i = at
  while (i < end && (block[i] === space || block[i] === 0)) i++
  let value = 0
  for (; i < end; i++) {
    const byte = block[i] ?? 0
    if (byte === 0 || byte === space) break
    if (byte < 0x30 || byte > 0x37) return undefined
    value = value * 8 + (byte - 0x30)
  }
  for (; i < end && block[i] !== 0; i++) if (block[i] !== space) return undefined
  return value
}

/** Octal, or two's complement big-endian when the top bit of the first byte is set (a GNU extension). */
export function numeric(block: Uint8Array, at: number, length: number): number | undefined {
  const first = block[at] ?? 0
  if ((first & 0x80) === 0) return octal(block, at, length)
  const negative = (first & 0x40) !== 0
  let value = negative ? (first & 0x7f) - 0x80 : first & 0x7f
  for (let i = at + 1; i < at + length; i++) value = value * 256 + (block[i] ?? 0)
  return Number.isSafeInteger(value) ? value : undefined
}

/** The bytes of a field up to its first NUL, copied. */
export function field(block: Buffer, at: number, length: number): Buffer {
  let end = at
  const limit = at + length
  while (end < limit && block[end] !== 0) end++
  return end === at ? empty : Buffer.from(block.subarray(at, end))
}

type Format = 'v7' | 'ustar' | 'star' | 'gnu'

function isAt(block: Buffer, at: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) if (block[at + i] !== text.charCodeAt(i)) return false
  return true
}

function formatOf(block: Buffer, at: number): Format {
  if (!isAt(block, at + 257, 'ustar')) return 'v7'
  if (isAt(block, at + 262, '\x0000')) return isAt(block, at + 508, 'tar\0') ? 'star' : 'ustar'
  return isAt(block, at + 262, '  \0') ? 'gnu' : 'v7'
}

const prefixStart = 345
const prefixLength = 155
const starPrefixLength = 131

function isAscii(bytes: Buffer): boolean {
  return bytes.every((byte) => byte < 0x80)
}

/**
 * What the 155 bytes at the end mean: a prefix of the name for ustar, times for GNU. Docker before 1.13, being
 * built with Go before 1.8, wrote a ustar prefix under GNU magic; it is told by not being a number.
 */
function readExtension(block: Buffer, at: number, format: Format, draft: HeaderDraft): void {
  let prefix = empty
  if (format === 'ustar') prefix = field(block, at + prefixStart, prefixLength)
  else if (format === 'star') prefix = field(block, at + prefixStart, starPrefixLength)
  else if (format === 'gnu' && block[at + prefixStart] !== 0) {
    const atime = numeric(block, at + prefixStart, 12)
    const ctime = numeric(block, at + prefixStart + 12, 12)
    const mangled = field(block, at + prefixStart, prefixLength)
    if (atime !== undefined && ctime !== undefined) draft.atimeNs = BigInt(atime) * nanoseconds
    else if (isAscii(mangled)) prefix = mangled
  }
  if (prefix.length > 0) draft.name = Buffer.concat([prefix, slash, draft.name])
}

const slash = Buffer.from('/')

function numberAt(block: Buffer, at: number, length: number, offset: number, name: Buffer): number {
  const value = numeric(block, at, length)
  if (value !== undefined) return value
  throw invalidArchive('a field of the header is not a number', offset, name)
}

/**
 * The header in a block whose checksum was verified, before any extension record is applied.
 *
 * @throws GD_ARCHIVE_INVALID for a field that is no number
 */
export function decodeBlock(block: Buffer, at: number, offset: number): HeaderDraft {
  const flag = block[at + 156] ?? 0
  const type = entryTypeOf(flag)
  const name = field(block, at, 100)
  const size = numberAt(block, at + 124, 12, offset, name)
  const draft: HeaderDraft = {
    name,
    type,
    typeflag: flag,
    mode: numberAt(block, at + 100, 8, offset, name),
    uid: numberAt(block, at + 108, 8, offset, name),
    gid: numberAt(block, at + 116, 8, offset, name),
    size,
    realSize: size,
    mtimeNs: BigInt(numberAt(block, at + 136, 12, offset, name)) * nanoseconds,
    atimeNs: undefined,
    linkName: field(block, at + 157, 100),
    devMajor: 0,
    devMinor: 0,
    xattrs: noXattrs,
    pax: noPax,
    sparse: undefined,
    offset,
  }
  const format = formatOf(block, at)
  if (type === 'char' || type === 'block') {
    draft.devMajor = format === 'v7' ? 0 : numberAt(block, at + 329, 8, offset, name)
    draft.devMinor = format === 'v7' ? 0 : numberAt(block, at + 337, 8, offset, name)
  }
  if (format !== 'v7') readExtension(block, at, format, draft)
  return draft
}

const endsInSlash = (name: Buffer): boolean => name[name.length - 1] === slash[0]

/**
 * Checks and settles a draft once all records are applied: old archives mark directories by a trailing slash only,
 * and ids must exist, since chown(2) takes -1 for "leave as it is".
 */
export function settle(draft: HeaderDraft): void {
  if (draft.typeflag === typeflag.regularOld && endsInSlash(draft.name)) draft.type = 'directory'
  if (!hasPayload(draft.type)) {
    draft.size = 0
    draft.realSize = 0
  }
  if (draft.size < 0) throw invalidArchive('size is negative', draft.offset, draft.name)
  if (!isId(draft.uid)) throw invalidArchive(`uid ${draft.uid} cannot exist`, draft.offset, draft.name)
  if (!isId(draft.gid)) throw invalidArchive(`gid ${draft.gid} cannot exist`, draft.offset, draft.name)
}

const isId = (id: number): boolean => id >= 0 && id < 0xffff_ffff
