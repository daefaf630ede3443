/**
 * Lists of names and values as ZFS passes them to and from its kernel (module/nvpair/nvpair.c, native encoding): pure.
 *
 * ```
 * stream   encoding (0), endian (1), two zeros; version (0) and flags (1: names are unique) of 32 bits; a list
 * list     pairs, four zeros
 * pair     size, name size and reserved (16 bits each), count, type; name with NUL; value; both to eight bytes
 * ```
 *
 * A pair whose value is a list has 24 bytes that mean nothing here, and the list itself comes after the pair.
 */

/** What a list may hold of what is read or written here; `true` is a name without a value, `false` a value of its own. */
export type NvValue = boolean | bigint | number | string | NvList | NvOther
export interface NvList {
  readonly [name: string]: NvValue
}
/** A value of a type that nobody here asks for. */
export interface NvOther {
  readonly type: number
}

const TYPE = {
  BOOLEAN: 1,
  INT32: 5,
  UINT32: 6,
  INT64: 7,
  UINT64: 8,
  STRING: 9,
  HRTIME: 18,
  NVLIST: 19,
  BOOLEAN_VALUE: 21,
} as const

const pairLength = 16
const listLength = 24
const littleEndian = Buffer.of(0, 1, 0, 0)
const head = Buffer.concat([littleEndian, Buffer.of(0, 0, 0, 0, 1, 0, 0, 0)])
const end = Buffer.alloc(4)

function aligned(length: number): number {
  return Math.ceil(length / 8) * 8
}

/** A number is of 32 bits, a bigint of 64 without a sign. */
export function encodeNvList(list: NvList): Buffer {
  return Buffer.concat([head, encodeList(list)])
}

function encodeList(list: NvList): Buffer {
  return Buffer.concat([...Object.entries(list).flatMap(encodePair), end])
}

function encodePair([name, value]: readonly [string, NvValue]): readonly Buffer[] {
  const [type, bytes] = encodeValue(value)
  const words = Buffer.from(`${name}\0`)
  const valueAt = aligned(pairLength + words.length)
  const pair = Buffer.alloc(valueAt + aligned(bytes.length))
  pair.writeInt32LE(pair.length, 0)
  pair.writeInt16LE(words.length, 4)
  pair.writeInt32LE(type === TYPE.BOOLEAN ? 0 : 1, 8)
  pair.writeInt32LE(type, 12)
  words.copy(pair, pairLength)
  bytes.copy(pair, valueAt)
  return type === TYPE.NVLIST ? [pair, encodeList(value as NvList)] : [pair]
}

function encodeValue(value: NvValue): readonly [type: number, bytes: Buffer] {
  if (value === true) return [TYPE.BOOLEAN, Buffer.alloc(0)]
  if (value === false) return [TYPE.BOOLEAN_VALUE, Buffer.alloc(4)]
  if (typeof value === 'string') return [TYPE.STRING, Buffer.from(`${value}\0`)]
  if (typeof value === 'object') return [TYPE.NVLIST, Buffer.alloc(listLength)]
  const bytes = Buffer.alloc(typeof value === 'bigint' ? 8 : 4)
  if (typeof value === 'bigint') {
    bytes.writeBigUInt64LE(value)
    return [TYPE.UINT64, bytes]
  }
  bytes.writeInt32LE(value)
  return [TYPE.INT32, bytes]
}

/** @throws RangeError for what is no such list */
export function decodeNvList(buffer: Buffer): NvList {
  if (!buffer.subarray(0, 2).equals(littleEndian.subarray(0, 2)))
    throw new RangeError('no list of names and values in native encoding')
  return decodeList(buffer, head.length).list
}

function decodeList(buffer: Buffer, start: number): { readonly list: NvList; readonly next: number } {
  const list: Record<string, NvValue> = {}
  let at = start
  for (;;) {
    const size = buffer.readInt32LE(at)
    if (size === 0) return { list, next: at + end.length }
    if (size < pairLength || at + size > buffer.length)
      throw new RangeError(`a pair of ${size} bytes at ${at}`)
    const nameLength = buffer.readInt16LE(at + 4)
    const name = buffer.toString('utf8', at + pairLength, at + pairLength + nameLength - 1)
    const value = buffer.subarray(at + aligned(pairLength + nameLength), at + size)
    const type = buffer.readInt32LE(at + 12)
    at += size
    if (type === TYPE.NVLIST) {
      const nested = decodeList(buffer, at)
      list[name] = nested.list
      at = nested.next
    } else list[name] = decodeValue(type, value)
  }
}

function decodeValue(type: number, value: Buffer): NvValue {
  switch (type) {
    case TYPE.BOOLEAN:
      return true
    case TYPE.INT32:
    case TYPE.BOOLEAN_VALUE:
      return value.readInt32LE()
    case TYPE.UINT32:
      return value.readUInt32LE()
    case TYPE.INT64:
    case TYPE.HRTIME:
      return value.readBigInt64LE()
    case TYPE.UINT64:
      return value.readBigUInt64LE()
    case TYPE.STRING:
      return value.toString('utf8', 0, value.indexOf(0))
    default:
      return { type }
  }
}
