/** Writes tars byte by byte, also such as no honest writer makes. Shares no code with the reader that it tests. */

export interface RawEntry {
  readonly name: string | Buffer
  /** The typeflag; a file by default, a directory when the name ends in a slash. */
  readonly type?: string
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  /** Seconds, with a fraction if need be. */
  readonly mtime?: string
  readonly link?: string | Buffer
  readonly data?: string | Buffer
  readonly device?: readonly [major: number, minor: number]
  readonly pax?: Readonly<Record<string, string | Buffer>>
}

const octal = (value: number, digits: number): string => `${value.toString(8).padStart(digits, '0')}\0`

function padded(data: Buffer): Buffer {
  return Buffer.concat([data, Buffer.alloc((512 - (data.length % 512)) % 512)])
}

function block(name: Buffer, entry: RawEntry, type: string, size: number): Buffer {
  const header = Buffer.alloc(512)
  name.copy(header, 0, 0, 100)
  header.write(octal(entry.mode ?? (type === '5' ? 0o755 : 0o644), 7), 100, 'latin1')
  header.write(octal(entry.uid ?? 0, 7), 108, 'latin1')
  header.write(octal(entry.gid ?? 0, 7), 116, 'latin1')
  header.write(octal(size, 11), 124, 'latin1')
  header.write(octal(Math.max(0, Math.trunc(Number(entry.mtime ?? '0'))), 11), 136, 'latin1')
  header.write(type, 156, 'latin1')
  Buffer.from(entry.link ?? '').copy(header, 157, 0, 100)
  header.write('ustar\x0000', 257, 'latin1')
  header.write(octal(entry.device?.[0] ?? 0, 7), 329, 'latin1')
  header.write(octal(entry.device?.[1] ?? 0, 7), 337, 'latin1')
  header.fill(' ', 148, 156)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${octal(sum, 6)} `, 148, 'latin1')
  return header
}

function record(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')])
  let length = rest.length
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length
  return Buffer.concat([Buffer.from(String(length)), rest])
}

function paxBlocks(entry: RawEntry, name: Buffer, type = 'x'): readonly Buffer[] {
  const records: Record<string, string | Buffer> = { ...entry.pax }
  if (name.length > 100) records['path'] = name
  if (entry.mtime?.includes('.') === true || entry.mtime?.startsWith('-') === true)
    records['mtime'] = entry.mtime
  if (entry.link !== undefined && entry.link.length > 100) records['linkpath'] = entry.link
  const body = Buffer.concat(Object.entries(records).map(([key, value]) => record(key, Buffer.from(value))))
  if (body.length === 0) return []
  return [block(Buffer.from('PaxHeaders.0/x'), { name }, type, body.length), padded(body)]
}

export function entryBlocks(entry: RawEntry): Buffer {
  const name = Buffer.from(entry.name)
  const type = entry.type ?? (name.at(-1) === 0x2f ? '5' : '0')
  const data = Buffer.from(entry.data ?? '')
  if (type === 'g') return Buffer.concat(paxBlocks(entry, name, 'g'))
  return Buffer.concat([...paxBlocks(entry, name), block(name, entry, type, data.length), padded(data)])
}

export function rawTar(...entries: readonly RawEntry[]): Buffer {
  return Buffer.concat([...entries.map(entryBlocks), Buffer.alloc(1024)])
}

/** A stream in chunks of a size, so that entries straddle them. */
export async function* inChunks(bytes: Buffer, size = 65_536): AsyncGenerator<Buffer, void, void> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}
