import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  backupHeader,
  type BackupHandler,
  BackupParser,
  type BackupStream,
  backupStream,
  ContentReader,
  decodeExtendedAttributes,
  decodeReparsePoint,
  encodeExtendedAttributes,
  encodeReparsePoint,
  fileTimeOf,
  MetadataCollector,
  nanosecondsOf,
  streamAttribute,
  streamId,
} from '../src/index.ts'
import { outcomeOf } from './outcome.ts'

type Heard = { readonly stream: BackupStream; content: Buffer; ended: boolean }

class Listener implements BackupHandler {
  readonly heard: Heard[] = []

  stream(stream: BackupStream): void {
    this.heard.push({ stream, content: Buffer.alloc(0), ended: false })
  }

  data(chunk: Uint8Array): void {
    const last = this.heard.at(-1)
    if (last !== undefined) last.content = Buffer.concat([last.content, chunk])
  }

  end(): void {
    const last = this.heard.at(-1)
    if (last !== undefined) last.ended = true
  }
}

function parse(bytes: Buffer, handler: BackupHandler, chunk = 7): void {
  const parser = new BackupParser(handler, 'Files/x')
  for (let at = 0; at < bytes.length; at += chunk) parser.push(bytes.subarray(at, at + chunk))
  parser.finish()
}

const stream = fc.record({
  id: fc.constantFrom(...Object.values(streamId)),
  attributes: fc.nat(0xffff),
  name: fc.string({ maxLength: 20, unit: 'binary' }),
  content: fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array)),
  offset: fc.nat(1_000_000),
})

test('streams are heard as they were written, however they are cut', () => {
  fc.assert(
    fc.property(fc.array(stream, { maxLength: 6 }), fc.integer({ min: 1, max: 400 }), (streams, chunk) => {
      const written = streams.map(({ content, offset, ...rest }) => {
        const where = rest.id === streamId.sparseBlock ? offset : undefined
        return { header: { ...rest, size: content.length, offset: where }, content }
      })
      const listener = new Listener()
      const bytes = Buffer.concat(written.flatMap(({ header, content }) => [backupHeader(header), content]))
      parse(bytes, listener, chunk)
      expect(listener.heard).toEqual(
        written.map(({ header, content }) => ({ stream: header, content, ended: true })),
      )
    }),
  )
})

describe('a backup stream is refused', () => {
  const whole = backupStream(streamId.alternateData, Buffer.from('content'), ':name:$DATA')

  test('that is cut anywhere', () => {
    for (let length = 1; length < whole.length; length++)
      expect(() => parse(whole.subarray(0, length), new Listener())).toThrow(
        /Files\/x.*middle of a backup stream/,
      )
  })

  test.each<[string, (bytes: Buffer) => void, RegExp]>([
    ['of a kind that there is not', (bytes) => bytes.writeUInt32LE(99, 0), /99 is no kind/],
    ['longer than it is', (bytes) => bytes.writeBigUInt64LE(8n, 8), /middle of a backup stream/],
    ['shorter than it is', (bytes) => bytes.writeBigUInt64LE(3n, 8), /no kind|middle of/],
    ['longer than anything', (bytes) => bytes.writeBigUInt64LE(2n ** 63n, 8), /cannot be/],
    ['with an endless name', (bytes) => bytes.writeUInt32LE(0xffff_fffe, 16), /a name of 4294967294 bytes/],
    ['with half a character', (bytes) => bytes.writeUInt32LE(7, 16), /a name of 7 bytes/],
  ])('%s', (_, damage, message) => {
    const bytes = Buffer.from(whole)
    damage(bytes)
    expect(() => parse(bytes, new Listener())).toThrow(message)
  })

  test('that is a sparse block without a place', () => {
    const bytes = Buffer.concat([backupHeader({ id: streamId.sparseBlock, size: 0, offset: 0 })])
    bytes.writeBigUInt64LE(4n, 8)
    expect(() => parse(bytes, new Listener())).toThrow(/too short to say where/)
  })

  test('that is random, with no other error than ours', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const outcome = outcomeOf(() => parse(Buffer.from(bytes), new Listener()))
        expect(outcome).toMatch(/^(?:fine|GD_ARCHIVE_INVALID)$/)
      }),
    )
  })
})

describe('what the streams of a file say', () => {
  const security = Buffer.from([1, 0, 4, 128])
  const point = encodeReparsePoint({ kind: 'symlink', target: '..\\x' })

  function collect(...streams: readonly Buffer[]): ReturnType<MetadataCollector['result']> {
    const collector = new MetadataCollector('Files/x')
    parse(Buffer.concat(streams), collector)
    return collector.result()
  }

  function content(...streams: readonly Buffer[]): readonly (readonly [string, string])[] {
    const told: [string, Buffer[]][] = [['', []]]
    const sink = {
      stream: (name: string) => void told.push([name, []]),
      data: (chunk: Uint8Array) => void told.at(-1)?.[1].push(Buffer.from(chunk)),
    }
    parse(Buffer.concat(streams), new ContentReader(collect(...streams), sink, 'Files/x'))
    return told.map(([name, chunks]) => [name, Buffer.concat(chunks).toString('latin1')])
  }

  test('is found in any order', () => {
    expect(
      collect(
        backupStream(streamId.data, Buffer.from('12345')),
        backupStream(streamId.objectId, Buffer.alloc(64)),
        backupStream(streamId.alternateData, Buffer.from('abc'), ':s:$DATA'),
        backupStream(streamId.security, security),
        backupStream(streamId.extendedAttributes, encodeExtendedAttributes([['A', Buffer.from('1')]])),
        backupStream(streamId.reparse, point),
      ),
    ).toEqual({
      security,
      extendedAttributes: [['A', Buffer.from('1')]],
      reparsePoint: { kind: 'symlink', target: '..\\x' },
      size: 5,
      streams: [{ name: 's', size: 3 }],
    })
  })

  test('a sparse file has zeros in its gaps, and its further streams after it', () => {
    const streams = [
      backupHeader({ id: streamId.data, size: 0, attributes: streamAttribute.sparse }),
      backupHeader({ id: streamId.sparseBlock, size: 2, offset: 3 }),
      Buffer.from('ab'),
      backupHeader({ id: streamId.sparseBlock, size: 0, offset: 8 }),
      backupStream(streamId.alternateData, Buffer.from('more'), ':s:$DATA'),
    ]
    expect(collect(...streams).size).toBe(8)
    expect(content(...streams)).toEqual([
      ['', '\0\0\0ab\0\0\0'],
      ['s', 'more'],
    ])
  })

  test.each([
    [
      'blocks that overlap',
      [
        backupHeader({ id: streamId.sparseBlock, size: 2, offset: 0 }),
        Buffer.from('ab'),
        backupHeader({ id: streamId.sparseBlock, size: 0, offset: 1 }),
      ],
      /overlap/,
    ],
    [
      'two security descriptors',
      [backupStream(streamId.security, security), backupStream(streamId.security, security)],
      /two backup streams/,
    ],
    [
      'a security descriptor without end',
      [backupStream(streamId.security, Buffer.alloc(70_000))],
      /70000 bytes/,
    ],
    [
      'a stream without a name',
      [backupStream(streamId.alternateData, Buffer.alloc(0), '::$DATA')],
      /no name of a stream/,
    ],
    [
      'a further stream that is sparse',
      [
        backupHeader({
          id: streamId.alternateData,
          size: 0,
          name: ':s:$DATA',
          attributes: streamAttribute.sparse,
        }),
      ],
      /sparse/,
    ],
    [
      'a link of another kind',
      [backupStream(streamId.reparse, Buffer.from('1700008000000000', 'hex'))],
      /0x80000017/,
    ],
  ])('%s are refused', (_, streams, message) => {
    expect(() => content(...streams)).toThrow(message)
  })
})

test.each([
  ['symlink', 'a.txt', '', 1],
  ['symlink', 'C:\\app', '\\??\\C:\\app', 0],
  ['symlink', '\\\\server\\share', '\\??\\UNC\\server\\share', 0],
  ['symlink', '\\\\?\\Volume{1}\\x', '\\??\\Volume{1}\\x', 0],
  ['mount-point', 'C:\\app', '\\??\\C:\\app', undefined],
] as const)('a %s to %s', (kind, target, native, flags) => {
  const point = encodeReparsePoint({ kind, target })
  expect(decodeReparsePoint(point, 'x')).toEqual({ kind, target })
  const names = kind === 'symlink' ? 20 : 16
  expect(point.toString('utf16le', names, names + point.readUInt16LE(10))).toBe(
    native === '' ? target : native,
  )
  expect(point.readUInt16LE(4)).toBe(point.length - 8)
  expect(kind === 'symlink' ? point.readUInt32LE(16) : undefined).toBe(flags)
})

test('reparse points and lists of attributes that are broken are refused, with no other error than ours', () => {
  const attributes = encodeExtendedAttributes([
    ['ONE', Buffer.from('1')],
    ['TWO', Buffer.from('22')],
  ])
  fc.assert(
    fc.property(fc.nat(60), fc.uint8Array({ minLength: 1, maxLength: 8 }), fc.nat(40), (at, junk, cut) => {
      for (const [bytes, decode] of [
        [
          encodeReparsePoint({ kind: 'symlink', target: 'C:\\some\\where' }),
          (b: Buffer) => decodeReparsePoint(b, 'x'),
        ],
        [attributes, (b: Buffer) => decodeExtendedAttributes(b, 'x')],
      ] as const) {
        const damaged = Buffer.from(bytes)
        damaged.set(junk.subarray(0, Math.max(0, damaged.length - at)), Math.min(at, damaged.length))
        expect(outcomeOf(() => decode(damaged.subarray(0, Math.max(0, damaged.length - (cut % 4)))))).toMatch(
          /^(?:fine|GD_ARCHIVE_\w+)$/,
        )
      }
    }),
  )
})

test('times are the same in both forms', () => {
  expect(fileTimeOf(0n)).toBe(116_444_736_000_000_000n)
  expect(nanosecondsOf(fileTimeOf(1_795_431_272_845_112_600n))).toBe(1_795_431_272_845_112_600n)
  expect(nanosecondsOf(fileTimeOf(-150n))).toBe(-200n)
  expect(fileTimeOf(-99_999_999_999_999_999_999n)).toBe(0n)
})
