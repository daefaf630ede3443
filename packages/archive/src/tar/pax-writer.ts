/** Encodes PAX records, and decides which an entry needs. */
import type { XattrRecord } from './header.ts'
import type { TarEntry } from './writer.ts'

/** The largest numbers that fit the octal fields of a header. */
const maxId = 0o7777777
const maxSize = 0o77777777777
const nameLength = 100
const nanoseconds = 1_000_000_000n

/** The records for all that an ustar header cannot say, keys sorted; empty when it says everything. */
export function recordsFor(entry: TarEntry): Buffer {
  const records: (readonly [key: string, value: Buffer])[] = []
  if (entry.gid > maxId) records.push(['gid', Buffer.from(String(entry.gid))])
  if (needsRecord(entry.linkName)) records.push(['linkpath', entry.linkName])
  const seconds = entry.mtimeNs / nanoseconds
  if (entry.mtimeNs < 0n || entry.mtimeNs % nanoseconds !== 0n || seconds > BigInt(maxSize)) {
    records.push(['mtime', Buffer.from(formatTime(entry.mtimeNs))])
  }
  if (needsRecord(entry.name)) records.push(['path', entry.name])
  if (entry.size > maxSize) records.push(['size', Buffer.from(String(entry.size))])
  if (entry.uid > maxId) records.push(['uid', Buffer.from(String(entry.uid))])
  for (const xattr of entry.xattrs) records.push(xattrRecord(xattr))
  for (const { key, value } of entry.records ?? []) records.push([key, value])
  if (records.length === 0) return none
  records.sort(([a], [b]) => (a < b ? -1 : 1))
  return Buffer.concat(records.map(([key, value]) => formatRecord(key, value)))
}

/** star's form, which is Docker's; libarchive's, which is encoded, for a name that would end the key too early. */
function xattrRecord([name, value]: XattrRecord): readonly [key: string, value: Buffer] {
  if (!name.includes('=')) return [`SCHILY.xattr.${name}`, value]
  return [`LIBARCHIVE.xattr.${encodeURIComponent(name)}`, Buffer.from(value.toString('base64'))]
}

const none: Buffer = Buffer.alloc(0)

function needsRecord(text: Buffer): boolean {
  return text.length > nameLength || text.some((byte) => byte >= 0x80)
}

/** Decimal seconds with as many digits after the point as there are. */
export function formatTime(ns: bigint): string {
  const magnitude = ns < 0n ? -ns : ns
  const fraction = String(magnitude % nanoseconds)
    .padStart(9, '0')
    .replace(/0+$/, '')
  return `${ns < 0n ? '-' : ''}${magnitude / nanoseconds}${fraction === '' ? '' : `.${fraction}`}`
}

/** The length at the front counts its own digits. */
export function formatRecord(key: string, value: Buffer): Buffer {
  const head = Buffer.from(` ${key}=`)
  const rest = head.length + value.length + 1
  let length = rest + String(rest).length
  if (rest + String(length).length !== length) length = rest + String(length).length
  return Buffer.concat([Buffer.from(String(length)), head, value, newline])
}

const newline = Buffer.from('\n')
