/**
 * Reparse points of the two kinds that a layer's tar can say: symbolic links and mount points (junctions).
 *
 * @see [MS-FSCC] 2.1.2.4 and 2.1.2.5
 */
import { invalidLayer, unsupportedLayer } from './invalid.ts'

export interface ReparsePoint {
  readonly kind: 'symlink' | 'mount-point'
  /** As Windows prints it: `C:\app`, `..\other`, `\\server\share`. */
  readonly target: string
}

const tags = { 'mount-point': 0xa000_0003, symlink: 0xa000_000c } as const
const headLength = 8
/** Where in the data the names begin. */
const namesAt = { 'mount-point': 8, symlink: 12 } as const
/** MAXIMUM_REPARSE_DATA_BUFFER_SIZE, its header included. */
const longest = 16 * 1024
const relativeFlag = 1

/** @throws GD_ARCHIVE_INVALID for a target that is too long */
export function encodeReparsePoint({ kind, target }: ReparsePoint, entry?: string): Buffer {
  const { path: native, relative } = nativeTarget(target)
  const [substitute, print] = [native, target].map((name) => Buffer.from(`${name}\0`, 'utf16le')) as [
    Buffer,
    Buffer,
  ]
  const at = headLength + namesAt[kind]
  const length = at + substitute.length + print.length
  if (length > longest)
    throw invalidLayer(`its target has ${target.length} characters, more than a link can`, entry)
  const point = Buffer.alloc(length)
  point.writeUInt32LE(tags[kind], 0)
  point.writeUInt16LE(length - headLength, 4)
  // Both names without the NUL that ends them.
  point.writeUInt16LE(0, 8)
  point.writeUInt16LE(substitute.length - 2, 10)
  point.writeUInt16LE(substitute.length, 12)
  point.writeUInt16LE(print.length - 2, 14)
  if (kind === 'symlink') point.writeUInt32LE(relative ? relativeFlag : 0, 16)
  substitute.copy(point, at)
  print.copy(point, at + substitute.length)
  return point
}

/** @throws GD_ARCHIVE_UNSUPPORTED for another kind; GD_ARCHIVE_INVALID */
export function decodeReparsePoint(point: Buffer, entry: string): ReparsePoint {
  if (point.length < headLength) throw invalidLayer('its reparse point is too short', entry)
  const tag = point.readUInt32LE(0)
  const kind = (['symlink', 'mount-point'] as const).find((one) => tags[one] === tag)
  if (kind === undefined)
    throw unsupportedLayer(`a reparse point with the tag 0x${tag.toString(16)} has no form in a tar`, entry)
  const names = headLength + namesAt[kind]
  if (point.length < names) throw invalidLayer('its reparse point is too short', entry)
  const start = names + point.readUInt16LE(12)
  const end = start + point.readUInt16LE(14)
  if (end > point.length || (end - start) % 2 !== 0)
    throw invalidLayer('the target of its reparse point is outside of it', entry)
  return { kind, target: point.toString('utf16le', start, end) }
}

/** As the kernel has it: absolute ones below `\??\`. */
function nativeTarget(target: string): { readonly path: string; readonly relative: boolean } {
  const absolute = (path: string): { path: string; relative: boolean } => ({ path, relative: false })
  if (target.startsWith('\\\\?\\')) return absolute(`\\??\\${target.slice(4)}`)
  if (target.startsWith('\\\\')) return absolute(`\\??\\UNC\\${target.slice(2)}`)
  if (/^[A-Za-z]:/.test(target)) return absolute(`\\??\\${target}`)
  return { path: target, relative: true }
}
