import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  alternateHeader,
  fileAttribute,
  type LayerEntry,
  leadingStreams,
  readLayer,
  type WindowsFile,
  writeLayer,
} from '../src/index.ts'
import { outcomeOf } from './outcome.ts'

function golden(name: string): Buffer {
  return readFileSync(new URL(`golden/${name}`, import.meta.url))
}

function inPieces(tar: Buffer, length: number): readonly Buffer[] {
  return Array.from({ length: Math.ceil(tar.length / length) }, (_, index) =>
    tar.subarray(index * length, (index + 1) * length),
  )
}

describe.each(['hcsshim-child.tar.gz', 'hcsshim-sandbox.tar.gz'])('%s', (name) => {
  const tar = gunzipSync(golden(name))

  test('is written again to the byte', () => {
    expect(writeLayer(readLayer([tar])).equals(tar)).toBe(true)
  })

  test.each([1, 511, 4096])('is the same in pieces of %i bytes', (chunk) => {
    expect(readLayer(inPieces(tar, chunk))).toEqual(readLayer([tar]))
  })

  test('is refused wherever it is cut, or is whole up to there', () => {
    const whole = readLayer([tar])
    for (let length = 0; length < tar.length; length += length % 512 < 3 ? 1 : 97) {
      let told: readonly LayerEntry[] = []
      const outcome = outcomeOf(() => (told = readLayer([tar.subarray(0, length)])))
      expect(outcome).toMatch(/^(?:fine|GD_ARCHIVE_INVALID)$/)
      // An archive may end at any entry; a file is then told with the streams that came.
      expect(told.slice(0, -1)).toEqual(whole.slice(0, Math.max(0, told.length - 1)))
    }
  })
})

test('the files of a layer are what Windows had', () => {
  const told = readLayer([gunzipSync(golden('hcsshim-child.tar.gz'))])
  const named = (name: string): LayerEntry | undefined => told.find((one) => one.name === name)
  expect(named('Files/app/a.txt')).toMatchObject({
    file: {
      attributes: fileAttribute.archive,
      extendedAttributes: [['EATEST', Buffer.from('eavalue')]],
      size: 15,
    },
    streams: [
      ['ads1', { length: 16 }],
      ['Zone.Identifier', { length: 26 }],
    ],
  })
  expect(named('Files/app/abs')?.file?.reparsePoint).toEqual({ kind: 'symlink', target: 'C:\\app\\a.txt' })
  expect(named('Files/mnt')?.file?.reparsePoint).toEqual({ kind: 'mount-point', target: 'C:\\app' })
  expect(named('Files/app/big.bin')?.content).toHaveLength(1024 * 1024)
  expect(named('Files/app/файл-𝄞.txt')?.content).toHaveLength(7)
})

test('each file becomes the backup streams that another program made of it', () => {
  const found = readLayer([gunzipSync(golden('hcsshim-child.tar.gz'))]).map(
    ({ name, file, content, streams }) => {
      if (file === undefined) throw new Error(`${name} is no file`)
      const further = streams.flatMap(([stream, bytes]) => [alternateHeader(stream, bytes.length), bytes])
      const backup = Buffer.concat([leadingStreams(file), content, ...further])
      const sha256 = createHash('sha256').update(backup).digest('hex')
      return [name, { attributes: file.attributes, bytes: backup.length, sha256 }]
    },
  )
  expect(Object.fromEntries(found)).toEqual(JSON.parse(golden('child-backup-streams.json').toString()))
})

const partOfName = fc.stringMatching(/^[A-Za-z0-9 _$\u00e4\u4e2d-]{1,12}$/)
const time = fc.bigInt(-9_000_000_000n, 99_000_000_000n).map((tenths) => tenths * 100n * 123_457n)
const bytes = (maxLength: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ maxLength }).map((array) => Buffer.from(array))

const windowsFile: fc.Arbitrary<Omit<WindowsFile, 'name' | 'size'>> = fc.record({
  attributes: fc.nat(0xffff).map((bits) => bits & ~(fileAttribute.directory | fileAttribute.reparsePoint)),
  created: time,
  written: time,
  accessed: time,
  changed: time,
  security: fc.option(bytes(200), { nil: undefined }),
  // In the order of their records.
  extendedAttributes: fc
    .uniqueArray(fc.tuple(fc.stringMatching(/^[A-Z.]{1,10}$/), bytes(40)), {
      maxLength: 3,
      selector: ([name]) => name,
    })
    .map((list) => list.toSorted(([a], [b]) => (a < b ? -1 : 1))),
  reparsePoint: fc.constant(undefined),
})

const told: fc.Arbitrary<LayerEntry> = fc.oneof(
  fc
    .record({
      name: partOfName,
      file: windowsFile,
      content: bytes(2000),
      streams: fc.uniqueArray(fc.tuple(partOfName, bytes(600)), { maxLength: 2, selector: ([name]) => name }),
    })
    .map(({ name, file, content, streams }) => {
      const full = `Files/${name}`
      return {
        kind: 'file' as const,
        name: full,
        file: { ...file, name: full, size: content.length },
        content,
        streams,
      }
    }),
  partOfName.map((name) => ({ kind: 'remove' as const, name: `Files/${name}`, ...nothing })),
  fc.tuple(partOfName, partOfName).map(([name, target]) => ({
    kind: 'link' as const,
    name: `Files/${name}`,
    target: `Files/${target}`,
    ...nothing,
  })),
  fc.tuple(partOfName, windowsFile, fc.constantFrom('symlink', 'mount-point')).map(([name, file, kind]) => {
    const full = `Files/${name}`
    const reparsePoint = { kind, target: `C:\\${name}\\x` }
    const attributes =
      file.attributes | fileAttribute.reparsePoint | (kind === 'symlink' ? 0 : fileAttribute.directory)
    return {
      kind: 'file' as const,
      name: full,
      file: { ...file, name: full, size: 0, reparsePoint, attributes },
      ...nothing,
    }
  }),
)
const nothing = { content: Buffer.alloc(0), streams: [] } as const

test('what is written is read again, whatever it is', () => {
  fc.assert(
    fc.property(fc.array(told, { maxLength: 8 }), fc.integer({ min: 1, max: 3000 }), (layer, chunk) => {
      expect(readLayer(inPieces(writeLayer(layer), chunk))).toEqual(layer)
    }),
  )
})

describe('refused', () => {
  const entry = (name: string, more: Partial<LayerEntry> = {}): LayerEntry => ({
    kind: 'remove',
    name,
    ...nothing,
    ...more,
  })

  test.each([
    ['Files/../../etc/x', 'GD_ARCHIVE_BREAKOUT'],
    ['Files/..', 'GD_ARCHIVE_INVALID'],
    ['Files/.', 'GD_ARCHIVE_INVALID'],
    ['/Files/x', 'GD_ARCHIVE_BREAKOUT'],
    ['Files//x', 'GD_ARCHIVE_INVALID'],
    ['Files/a\\b', 'GD_ARCHIVE_INVALID'],
    ['Files/a?', 'GD_ARCHIVE_INVALID'],
    [`Files/${'x'.repeat(256)}`, 'GD_ARCHIVE_INVALID'],
  ])('the name %s', (name, code) => {
    expect(() => readLayer([writeLayer([entry(name)])])).toThrow(expect.objectContaining({ code }))
  })

  test('a stream that does not follow its file', () => {
    const tar = writeLayer([entry('Files/other'), entry('Files/a')])
    // The whiteout becomes an ordinary entry with the name of a stream.
    tar.write('Files/other:stream\0', 0, 'latin1')
    fixChecksum(tar)
    expect(() => readLayer([tar])).toThrow(/is a stream, and does not follow its file/)
  })

  test('bytes that are no layer, without another error than ours', () => {
    fc.assert(
      fc.property(fc.nat(30_000), fc.uint8Array({ minLength: 1, maxLength: 40 }), (at, junk) => {
        const tar = gunzipSync(golden('hcsshim-child.tar.gz'))
        tar.set(junk, at)
        expect(outcomeOf(() => readLayer([tar]))).toMatch(/^(?:fine|GD_ARCHIVE_\w+)$/)
      }),
    )
  })
})

function fixChecksum(block: Buffer): void {
  block.fill(0x20, 148, 156)
  const sum = block.subarray(0, 512).reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
}
