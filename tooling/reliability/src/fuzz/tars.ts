/** Tars as nobody should write them: any fields, any extensions, in any order. */
import { createHash } from 'node:crypto'
import { below, pick, type Random } from '../random.ts'

const block = 512

/** Names that lead out, over links, to the same file, to whiteouts. */
const names = [
  'a',
  'a/',
  'a/b',
  'a/b/',
  'a/b/c',
  'b',
  'link',
  'link/x',
  '.',
  './',
  './a',
  '../x',
  '/x',
  '/etc/passwd',
  'a/../../x',
  'a//b',
  '.wh.a',
  'a/.wh.b',
  'a/.wh..wh..opq',
  '.wh..wh..opq',
  '.wh.',
  '.wh...',
  'a/.wh..wh.plnk',
  '',
  '\0',
  'ü',
  '\xff\xfe',
  'x'.repeat(100),
  'long/'.repeat(19),
  'a/b/c/d/e/f',
] as const
const targets = [
  'a',
  'b',
  '../..',
  '../../../../../../etc',
  '/',
  '/etc',
  '/tmp',
  'link',
  '.',
  '',
  'a/b',
] as const
const keys = [
  'path',
  'linkpath',
  'size',
  'uid',
  'gid',
  'mtime',
  'SCHILY.xattr.user.a',
  'SCHILY.xattr.security.capability',
  'SCHILY.xattr.trusted.overlay.opaque',
  'LIBARCHIVE.xattr.user.b',
  'GNU.sparse.major',
  'GNU.sparse.minor',
  'GNU.sparse.name',
  'GNU.sparse.realsize',
  'GNU.sparse.map',
  'GNU.sparse.numblocks',
  'hdrcharset',
  'comment',
  'MSWINDOWS.rawsd',
] as const
const values = [
  '0',
  '1',
  '-1',
  '1.5',
  '99999999999999999999',
  '',
  'a',
  '../x',
  '0,512',
  '0,1,2',
  '\0',
  '1e9',
  '18446744073709551615',
  'AQAAAg==',
] as const

function octal(value: number, width: number): string {
  return `${Math.abs(value)
    .toString(8)
    .padStart(width - 1, '0')
    .slice(-(width - 1))}\0`
}

function header(
  random: Random,
  fields: { readonly name: string; readonly type: string; readonly size: number },
): Buffer {
  const bytes = Buffer.alloc(block)
  bytes.write(fields.name, 0, 100, 'latin1')
  bytes.write(octal(below(random, 0o7777), 8), 100)
  bytes.write(octal(pick(random, [0, 0, 1000, 65_534, 2_097_151]), 8), 108)
  bytes.write(octal(0, 8), 116)
  bytes.write(octal(fields.size, 12), 124)
  bytes.write(octal(below(random, 2e9), 12), 136)
  bytes.write(fields.type, 156, 'latin1')
  bytes.write(pick(random, targets), 157, 100, 'latin1')
  bytes.write(pick(random, ['ustar\x0000', 'ustar  \0', '\0\0\0\0\0\0\0\0']), 257, 'latin1')
  if (random() < 0.1) bytes.write(pick(random, ['prefix', '..', '/', 'a'.repeat(155)]), 345, 155)
  // Now and then a number in base 256, or nothing that is a number.
  if (random() < 0.1)
    bytes.writeUInt32BE(0x8000_0000 + below(random, 0xffff), pick(random, [108, 116, 124, 136]))
  if (random() < 0.05) bytes.write('zz', pick(random, [100, 108, 124, 136]))
  bytes.fill(' ', 148, 156)
  const sum = bytes.reduce((total, byte) => total + byte, random() < 0.03 ? 1 : 0)
  bytes.write(`${octal(sum, 7)} `, 148)
  return bytes
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((block - (bytes.length % block)) % block)])
}

function record(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`
  let length = rest.length + 1
  while (`${length}${rest}`.length !== length) length = `${length}${rest}`.length
  return `${length}${rest}`
}

function entry(random: Random): readonly Buffer[] {
  const extensions: Buffer[] = []
  if (random() < 0.3) {
    const records = Array.from({ length: 1 + below(random, 4) }, () =>
      record(pick(random, keys), pick(random, values)),
    )
    const body = Buffer.from(random() < 0.1 ? records.join('').slice(1) : records.join(''), 'latin1')
    extensions.push(
      header(random, { name: 'pax', type: pick(random, ['x', 'x', 'x', 'g']), size: body.length }),
      padded(body),
    )
  }
  if (random() < 0.1) {
    const body = Buffer.from(`${pick(random, [...names, 'n/'.repeat(2000)])}\0`, 'latin1')
    extensions.push(
      header(random, { name: '././@LongLink', type: pick(random, ['L', 'K']), size: body.length }),
      padded(body),
    )
  }
  const type = pick(random, [
    '0',
    '0',
    '0',
    '5',
    '5',
    '1',
    '2',
    '2',
    '3',
    '4',
    '6',
    '7',
    'S',
    '\0',
    'V',
    'D',
    '9',
  ])
  const isFile = type === '0' || type === 'S' || type === '7' || type === '\0'
  const size = isFile ? pick(random, [0, 1, 511, 512, 513, 5000]) : pick(random, [0, 0, 0, 512])
  const data = createHash('sha512').update(String(random())).digest()
  const body = Buffer.concat(Array.from({ length: Math.ceil(size / data.length) }, () => data)).subarray(
    0,
    size,
  )
  return [...extensions, header(random, { name: pick(random, names), type, size }), padded(body)]
}

export function hostileTar(random: Random): Buffer {
  const entries = Array.from({ length: 1 + below(random, 12) }, () => entry(random)).flat()
  return Buffer.concat([...entries, Buffer.alloc(random() < 0.9 ? 1024 : below(random, 1024))])
}
