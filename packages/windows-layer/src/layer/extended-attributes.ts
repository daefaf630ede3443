/** Lists of extended attributes: FILE_FULL_EA_INFORMATION of [MS-FSCC] 2.4.15, each at a multiple of four bytes. */
import { invalidLayer } from './invalid.ts'

/** Names are ASCII, and Windows does not tell cases apart in them. */
export type ExtendedAttribute = readonly [name: string, value: Buffer]

const headLength = 8
const longestName = 0xff
const longestValue = 0xffff

/** @throws GD_ARCHIVE_INVALID for a name or value that is too long */
export function encodeExtendedAttributes(attributes: readonly ExtendedAttribute[], entry?: string): Buffer {
  const records = attributes.map(([name, value], index) => {
    const bytes = Buffer.from(name, 'latin1')
    if (bytes.length === 0 || bytes.length > longestName || value.length > longestValue)
      throw invalidLayer(`its extended attribute '${name.slice(0, 100)}' cannot be one`, entry)
    const length = headLength + bytes.length + 1 + value.length
    const isLast = index === attributes.length - 1
    const record = Buffer.alloc(aligned(length))
    record.writeUInt32LE(isLast ? 0 : record.length, 0)
    record.writeUInt8(bytes.length, 5)
    record.writeUInt16LE(value.length, 6)
    bytes.copy(record, headLength)
    value.copy(record, headLength + bytes.length + 1)
    return record
  })
  return Buffer.concat(records)
}

/** @throws GD_ARCHIVE_INVALID */
export function decodeExtendedAttributes(list: Buffer, entry?: string): readonly ExtendedAttribute[] {
  const attributes: ExtendedAttribute[] = []
  for (let at = 0; at < list.length;) {
    if (list.length - at < headLength) throw broken(entry)
    const next = list.readUInt32LE(at)
    const nameEnd = at + headLength + list.readUInt8(at + 5)
    const valueEnd = nameEnd + 1 + list.readUInt16LE(at + 6)
    if (valueEnd > list.length || (next !== 0 && at + next < valueEnd)) throw broken(entry)
    attributes.push([
      list.toString('latin1', at + headLength, nameEnd),
      Buffer.from(list.subarray(nameEnd + 1, valueEnd)),
    ])
    if (next === 0) break
    at += next
  }
  return attributes
}

function aligned(length: number): number {
  return (length + 3) & ~3
}

function broken(entry: string | undefined): Error {
  return invalidLayer('its list of extended attributes is broken', entry)
}
