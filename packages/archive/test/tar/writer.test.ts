import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { need } from '@tooling/lab'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type TarEntry, TarWriter, type XattrRecord } from '../../src/index.ts'
import { makeTar } from './made-tar.ts'
import { parse } from './parsed.ts'

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

test("an archive of Go's archive/tar is reproduced byte for byte", () => {
  // The DiffIDs that Docker gives to these two layers.
  const base = makeTar(
    { name: 'etc/', type: 'directory', mode: 0o755 },
    { name: 'etc/motd', mode: 0o644, content: 'hi\n' },
  )
  expect(base).toHaveLength(2560)
  expect(sha256(base)).toBe('ddc9d329ca804460c62dfaf5c6edec33030710b8524b80a1ca387887a7a4e24a')
  const child = makeTar(
    { name: 'etc/', type: 'directory', mode: 0o755 },
    { name: 'etc/.wh.motd', mode: 0o600 },
  )
  expect(sha256(child)).toBe('de654e8863bcbcffd080794545556d0ea306b812eb94d3d897111c96dd28fd8c')
})

test('an archive without entries is 1024 zeros', () => {
  expect(makeTar()).toEqual(Buffer.alloc(1024))
})

const bytes = (minLength: number, maxLength: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ minLength, maxLength, min: 1, size: 'max' }).map((array) => Buffer.from(array))

const anyEntry = fc.record({
  name: fc.oneof(bytes(1, 120), bytes(90, 400)),
  type: fc.constantFrom<TarEntry['type']>(
    'file',
    'hardlink',
    'symlink',
    'char',
    'block',
    'directory',
    'fifo',
  ),
  mode: fc.nat(0o177777),
  uid: fc.oneof(fc.nat(100_000), fc.nat(0xffff_fffe)),
  gid: fc.oneof(fc.nat(100_000), fc.nat(0xffff_fffe)),
  mtimeNs: fc.oneof(
    fc.bigInt(-1000n, 4_000_000_000n).map((seconds) => seconds * 1_000_000_000n),
    fc.bigInt(-(2n ** 62n), 2n ** 62n),
  ),
  linkName: fc.oneof(bytes(0, 120), bytes(90, 400)),
  devMajor: fc.nat(4095),
  devMinor: fc.nat(0xf_ffff),
  xattrs: fc
    .uniqueArray(fc.tuple(fc.stringMatching(/^user\.[a-zäö0-9=% ]{1,12}$/), bytes(0, 300)), {
      selector: ([name]) => name,
      maxLength: 3,
    })
    .map((found) => found.toSorted(([a], [b]) => (a < b ? -1 : 1))),
  content: fc.uint8Array({ maxLength: 3000, size: 'max' }).map((array) => Buffer.from(array)),
})

test('whatever is written is read again', () => {
  fc.assert(
    fc.property(fc.array(anyEntry, { maxLength: 5 }), (entries) => {
      const sized = entries.map((entry) =>
        entry.type === 'file' ? entry : { ...entry, content: Buffer.alloc(0) },
      )
      const tar = makeTar(
        ...sized.map(({ linkName, ...entry }) => ({ ...entry, linkName: linkName.toString('latin1') })),
      )
      const expected = sized.map(({ content, ...entry }) => ({
        ...entry,
        linkName: Buffer.from(entry.linkName.toString('latin1')),
        size: content.length,
        devMajor: entry.type === 'char' || entry.type === 'block' ? entry.devMajor : 0,
        devMinor: entry.type === 'char' || entry.type === 'block' ? entry.devMinor : 0,
      }))
      const found = parse(tar).entries
      const byName = ([a]: XattrRecord, [b]: XattrRecord): number => (a < b ? -1 : 1)
      const headers = found.map(({ header }) => ({ ...header, xattrs: header.xattrs.toSorted(byName) }))
      expect(headers).toMatchObject(expected)
      expect(found.map(({ content }) => content)).toEqual(sized.map(({ content }) => content))
    }),
    { numRuns: 300 },
  )
})

test('GNU tar reads names, owners and times beyond ustar', ({ skip }) => {
  const missing = need({ command: 'tar' })
  skip(missing !== undefined, missing)
  const name = `${'long/'.repeat(40)}ü`
  const tar = makeTar({
    name,
    uid: 3_000_000,
    gid: 4_000_000_000,
    mtimeNs: 1_234_567_890_123_456_789n,
    content: 'x',
  })
  const args = ['-tv', '--numeric-owner', '--full-time', '--quoting-style=literal']
  const listed = execFileSync('tar', args, {
    input: tar,
    encoding: 'utf8',
    env: { ...process.env, TZ: 'UTC' },
  })
  expect(listed).toContain(name)
  expect(listed).toContain('3000000/4000000000')
  expect(listed).toContain('2009-02-13 23:31:30.123456789')
})

test('a cut name never ends in a slash, which old readers take for a directory', () => {
  const tar = makeTar({ name: `${'d'.repeat(99)}/file` })
  const header = tar.subarray(1024, 1536)
  expect(header.toString('latin1', 0, 100)).toBe(`${'d'.repeat(99)}\0`)
})

test('the field in the header is ASCII, whatever the PAX record says', () => {
  const header = makeTar({ name: 'ü\xffa' }).subarray(1024, 1536)
  expect(header.toString('latin1', 0, 3)).toBe('a\0\0')
})

test('chunks are large, and small entries share them', () => {
  const sizes: number[] = []
  const writer = new TarWriter((chunk) => sizes.push(chunk.length))
  const fields = {
    type: 'file',
    mode: 0,
    uid: 0,
    gid: 0,
    mtimeNs: 0n,
    devMajor: 0,
    devMinor: 0,
    xattrs: [],
  } as const
  for (let i = 0; i < 5000; i++) {
    writer.entry({ ...fields, name: Buffer.from(`f${i}`), linkName: Buffer.alloc(0), size: 10 })
    writer.space().fill('x', 0, 10)
    writer.wrote(10)
  }
  writer.finish()
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(5000 * 1024 + 1024)
  for (const size of sizes.slice(0, -1)) expect(size).toBeGreaterThanOrEqual(256 * 1024)
})

test('payload that is owed or too much is a mistake of the caller', () => {
  const writer = new TarWriter(() => undefined)
  const entry: TarEntry = {
    name: Buffer.from('n'),
    type: 'file',
    mode: 0,
    uid: 0,
    gid: 0,
    size: 5,
    mtimeNs: 0n,
    linkName: Buffer.alloc(0),
    devMajor: 0,
    devMinor: 0,
    xattrs: [],
  }
  writer.entry(entry)
  expect(() => writer.wrote(6)).toThrow('more payload')
  expect(() => writer.entry(entry)).toThrow('5 bytes of payload are still owed')
})
