/**
 * The lines of a `tar-split.json.gz`, Docker's recipe from which a layer's tar is put together again, byte for byte.
 *
 * A *segment* is bytes of the tar that are no file's content: headers, padding, the end marker. A *file* stands for
 * the content of one entry, to be read from the layer's tree; every entry has one, content or not. In order, they
 * are the tar. Format: github.com/vbatts/tar-split, `tar/storage`.
 */
import { isUtf8 } from 'node:buffer'
import { GraphDriverError } from '@graphdriver/core'

export interface Segment {
  readonly kind: 'segment'
  readonly payload: Buffer
}

export interface FileRecord {
  readonly kind: 'file'
  readonly name: Buffer
  /** Bytes of content; 0 for all that is no file. */
  readonly size: number
  /** CRC-64 of the content, 8 bytes; only where there is content. */
  readonly checksum: Buffer | undefined
}

export type TarSplitRecord = Segment | FileRecord

const fileType = 1
const segmentType = 2

/** One line with its newline: keys and escapes as Go's encoding/json gives them. */
export function formatSegment(payload: Buffer, position: number): string {
  return `{"type":${segmentType},"payload":"${payload.toString('base64')}","position":${position}}\n`
}

export function formatFile({ name, size, checksum }: Omit<FileRecord, 'kind'>, position: number): string {
  const shownSize = size > 0 ? `,"size":${size}` : ''
  const payload = checksum === undefined ? 'null' : `"${checksum.toString('base64')}"`
  return `{"type":${fileType}${formatName(name)}${shownSize},"payload":${payload},"position":${position}}\n`
}

/** Characters that neither JSON nor Go's way of making it safe for HTML escapes. */
const plain = /^[ !#-%'-;=?-[\]-~]+$/

function formatName(name: Buffer): string {
  const text = name.toString('latin1')
  if (plain.test(text)) return `,"name":"${text}"`
  if (text === '') return ''
  if (isUtf8(name)) return `,"name":${goString(name.toString())}`
  return `,"name_raw":"${name.toString('base64')}"`
}

/** What Go escapes and JavaScript does not, or does otherwise. */
function goString(text: string): string {
  return JSON.stringify(text)
    .replaceAll(/[<>&\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .replaceAll(/\\\\|\\[bf]/g, (c) => (c === '\\b' ? '\\u0008' : c === '\\f' ? '\\u000c' : c))
}

/**
 * Reads one line.
 *
 * @param position where it stands, which it must say itself
 * @throws GD_LAYER_CORRUPT
 */
export function parseRecord(line: string, position: number, layer: string): TarSplitRecord {
  const value = parseObject(line)
  if (value === undefined || value['position'] !== position) throw damaged(position, layer)
  const payload = value['payload'] ?? undefined
  const bytes = typeof payload === 'string' ? Buffer.from(payload, 'base64') : undefined
  if (value['type'] === segmentType) return { kind: 'segment', payload: bytes ?? Buffer.alloc(0) }
  const name = nameOf(value)
  const size = value['size'] ?? 0
  if (value['type'] !== fileType || typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
    throw damaged(position, layer)
  }
  if (size > 0 && bytes?.length !== 8) throw damaged(position, layer)
  return { kind: 'file', name, size, checksum: size > 0 ? bytes : undefined }
}

function parseObject(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? { ...value } : undefined
  } catch {
    return undefined
  }
}

function nameOf(value: Readonly<Record<string, unknown>>): Buffer {
  const raw = value['name_raw']
  if (typeof raw === 'string') return Buffer.from(raw, 'base64')
  const name = value['name']
  return Buffer.from(typeof name === 'string' ? name : '')
}

function damaged(position: number, layer: string): GraphDriverError<'GD_LAYER_CORRUPT'> {
  return corrupt(layer, `the tar-split file is damaged at record ${position}`)
}

/** What a file should be, and is. */
export interface Difference {
  readonly expected: string
  readonly found: string
}

/** @param layer what is known of the layer here: the directory that has its files */
export function corrupt(
  layer: string,
  what: string,
  file?: Buffer,
  { cause, ...difference }: Partial<Difference> & { readonly cause?: unknown } = {},
): GraphDriverError<'GD_LAYER_CORRUPT'> {
  const details = { id: layer, path: file?.toString(), ...difference }
  const options = cause === undefined ? {} : { cause }
  return new GraphDriverError('GD_LAYER_CORRUPT', `layer files in ${layer}: ${what}`, details, options)
}
