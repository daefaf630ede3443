/**
 * PAX extended header records: `<length> <key>=<value>\n`, the length counting itself.
 *
 * @see https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html "pax Extended Header"
 */
import type { HeaderDraft, PaxRecord, XattrRecord } from './header.ts'
import { invalidArchive } from './limits.ts'

const space = 0x20
const equals = 0x3d
const newline = 0x0a

/** @throws GD_ARCHIVE_INVALID */
export function parsePax(bytes: Buffer, offset: number): readonly PaxRecord[] {
  const records: PaxRecord[] = []
  for (let at = 0; at < bytes.length;) {
    const separator = bytes.indexOf(space, at)
    const length = separator === -1 ? undefined : decimal(bytes.subarray(at, separator))
    const end = at + (length ?? 0)
    if (length === undefined || end > bytes.length || end <= separator + 1 || bytes[end - 1] !== newline) {
      throw invalidArchive('PAX record is malformed', offset)
    }
    const split = bytes.indexOf(equals, separator)
    if (split <= separator + 1 || split >= end) throw invalidArchive('PAX record has no key', offset)
    records.push({
      key: bytes.toString('utf8', separator + 1, split),
      value: bytes.subarray(split + 1, end - 1),
    })
    at = end
  }
  return records
}

/** A plain decimal number of at most 16 digits; `undefined` for anything else. */
export function decimal(bytes: Buffer): number | undefined {
  if (bytes.length === 0 || bytes.length > 16) return undefined
  let value = 0
  for (const byte of bytes) {
    if (byte < 0x30 || byte > 0x39) return undefined
    value = value * 10 + (byte - 0x30)
  }
  return Number.isSafeInteger(value) ? value : undefined
}

const timeForm = /^(-?)(\d{1,18})(?:\.(\d*))?$/

/** Nanoseconds from decimal seconds; digits past the ninth are cut. */
export function paxTime(value: Buffer): bigint | undefined {
  const match = timeForm.exec(value.toString('latin1'))
  if (match === null) return undefined
  const [, sign, whole, fraction] = match
  const ns = BigInt(whole ?? '0') * 1_000_000_000n + BigInt((fraction ?? '').slice(0, 9).padEnd(9, '0'))
  return sign === '-' ? -ns : ns
}

const schily = 'SCHILY.xattr.'
const libarchive = 'LIBARCHIVE.xattr.'

/**
 * Applies the records that describe any file. An empty value takes a record back, which leaves the header's own
 * field; only an extended attribute may truly be empty. Where both spellings of an attribute are there, star's
 * (also Docker's and GNU tar's) wins, being the raw bytes.
 */
export function applyPax(draft: HeaderDraft, records: readonly PaxRecord[]): void {
  const xattrs = new Map<string, Buffer>()
  for (const { key, value } of records) {
    if (key.startsWith(schily)) xattrs.set(key.slice(schily.length), value)
    else if (key.startsWith(libarchive)) applyLibarchive(xattrs, key, value, draft)
    else if (value.length > 0) applyRecord(draft, key, value)
  }
  if (xattrs.size > 0) draft.xattrs = [...xattrs] satisfies readonly XattrRecord[]
}

function applyLibarchive(xattrs: Map<string, Buffer>, key: string, value: Buffer, draft: HeaderDraft): void {
  let name: string
  try {
    name = decodeURIComponent(key.slice(libarchive.length))
  } catch {
    throw invalidArchive(`PAX record ${key} has a malformed name`, draft.offset, draft.name)
  }
  if (!xattrs.has(name)) xattrs.set(name, Buffer.from(value.toString('latin1'), 'base64'))
}

function applyRecord(draft: HeaderDraft, key: string, value: Buffer): void {
  const number = (parsed: number | undefined): number => parsed ?? bad(draft, key)
  switch (key) {
    case 'path':
      draft.name = text(draft, key, value)
      break
    case 'linkpath':
      draft.linkName = text(draft, key, value)
      break
    case 'size':
      draft.size = number(decimal(value))
      draft.realSize = draft.size
      break
    case 'uid':
      draft.uid = number(decimal(value))
      break
    case 'gid':
      draft.gid = number(decimal(value))
      break
    case 'mtime':
      draft.mtimeNs = paxTime(value) ?? bad(draft, key)
      break
    case 'atime':
      draft.atimeNs = paxTime(value) ?? bad(draft, key)
      break
    default:
      break
  }
}

function text(draft: HeaderDraft, key: string, value: Buffer): Buffer {
  return value.includes(0) ? bad(draft, key) : value
}

function bad(draft: HeaderDraft, key: string): never {
  throw invalidArchive(`PAX record ${key} has a malformed value`, draft.offset, draft.name)
}
