import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { closeSync, mkdirSync, openSync, symlinkSync, truncateSync, writeFileSync, writeSync } from 'node:fs'
import { buffer } from 'node:stream/consumers'
import { isGraphDriverError } from '@graphdriver/core'
import { need, temporaryDirectory } from '@tooling/lab'
import fc from 'fast-check'
import { pack } from 'tar-stream'
import { expect, test } from 'vitest'
import { makeTar, patchHeader } from './made-tar.ts'
import { expand, names, parse } from './parsed.ts'

const noTar = need({ command: 'tar' })

function gnuTar(directory: string, ...args: readonly string[]): Buffer {
  return execFileSync('tar', ['-C', directory, '--sort=name', '-c', ...args, '.'], { maxBuffer: 1 << 28 })
}

const long = 'd'.repeat(90)

for (const [format, most] of [
  ['v7', 80],
  ['ustar', 150],
  ['oldgnu', 300],
  ['gnu', 300],
  ['posix', 300],
] as const) {
  test(`reads what GNU tar writes as ${format}`, async ({ skip }) => {
    skip(noTar !== undefined, noTar)
    await using scratch = await temporaryDirectory()
    const deep = `${scratch.path}/${long}/${'e'.repeat(most - 40)}`.slice(0, scratch.path.length + most)
    if (most > 80) mkdirSync(deep, { recursive: true })
    writeFileSync(`${scratch.path}/file`, 'content')
    const target = 't'.repeat(most - 60)
    symlinkSync(target, `${scratch.path}/link`)
    symlinkSync('short', `${scratch.path}/link-short`)
    // A long name after a long target: each belongs to its own entry.
    symlinkSync('short', `${scratch.path}/${'m'.repeat(most / 2)}`)
    writeFileSync(`${scratch.path}/short`, '')
    const tar = gnuTar(scratch.path, `--format=${format}`)
    const { entries } = parse(tar)
    const listed = execFileSync('tar', ['-t'], { input: tar, encoding: 'utf8' }).trim().split('\n')
    expect(entries.map(({ header }) => header.name.toString())).toEqual(listed)
    const links = entries.filter(({ header }) => header.type === 'symlink')
    expect(links.map(({ header }) => header.linkName.toString())).toEqual([target, 'short', 'short'])
    expect(entries.at(-1)?.header).toMatchObject({ type: 'file', linkName: Buffer.alloc(0) })
    const file = entries.find(({ header }) => header.name.toString() === './file')
    expect(file?.content.toString()).toBe('content')
    expect(entries[0]?.header.type).toBe('directory')
  })
}

for (const options of [
  ['--format=oldgnu'],
  ['--format=posix', '--sparse-version=0.0'],
  ['--format=posix', '--sparse-version=0.1'],
  ['--format=posix', '--sparse-version=1.0'],
]) {
  test(`reads a sparse file of GNU tar ${options.join(' ')}`, async ({ skip }) => {
    skip(noTar !== undefined, noTar)
    await using scratch = await temporaryDirectory()
    const file = `${scratch.path}/sparse`
    const expected = Buffer.alloc(9 * 1024 * 1024)
    const fd = openSync(file, 'w')
    for (let i = 0; i < 40; i++) {
      // More runs than the header and one extension block of the old format hold.
      const piece = randomBytes(4096 + i)
      piece.copy(expected, i * 200 * 1024)
      writeSync(fd, piece, 0, piece.length, i * 200 * 1024)
    }
    closeSync(fd)
    truncateSync(file, expected.length)
    const tar = gnuTar(scratch.path, '-S', ...options)
    expect(tar.length).toBeLessThan(expected.length / 2)
    for (const step of [100_000, 512, 777]) {
      const { entries, bytes } = parse(tar, step)
      const entry = entries.find(({ header }) => header.name.toString() === './sparse')
      expect(entry?.header.realSize).toBe(expected.length)
      expect(entry?.header.sparse?.length).toBeGreaterThan(25)
      expect(entry !== undefined && expand(entry).equals(expected)).toBe(true)
      expect(bytes.equals(tar)).toBe(true)
    }
  })
}

test('reads what tar-stream writes, with PAX records', async () => {
  const stream = pack()
  const name = `ünïcode/${'x'.repeat(200)}`
  stream.entry(
    {
      name,
      size: 3,
      mtime: new Date(1_000),
      uid: 1000,
      pax: { 'SCHILY.xattr.user.a': 'b', mtime: '1.1234567899', atime: '-1.5' },
    },
    'abc',
  )
  stream.finalize()
  const [entry] = parse(await buffer(stream)).entries
  expect(entry?.header).toMatchObject({
    uid: 1000,
    mtimeNs: 1_123_456_789n,
    atimeNs: -1_500_000_000n,
    size: 3,
  })
  expect(entry?.header.name.toString()).toBe(name)
  expect(entry?.header.xattrs).toEqual([['user.a', Buffer.from('b')]])
})

test('names that are not UTF-8 stay as they are', () => {
  const name = Buffer.from([0x61, 0xff, 0xfe, 0x2f, 0x80])
  const [entry] = parse(makeTar({ name, content: 'x' })).entries
  expect(entry?.header.name).toEqual(name)
})

test('entries do not depend on where chunks begin', () => {
  const tar = makeTar(
    { name: 'a/', type: 'directory', mtimeNs: 1_234_567_890_123_456_789n },
    { name: `a/${'b'.repeat(300)}`, content: randomBytes(3000), xattrs: [['user.x', randomBytes(700)]] },
    { name: 'a/c', type: 'hardlink', linkName: `a/${'b'.repeat(300)}` },
    { name: 'empty' },
    { name: 'a/d', type: 'char', devMajor: 12, devMinor: 5 },
  )
  const whole = parse(tar, tar.length)
  expect(whole.entries).toHaveLength(5)
  expect(whole.bytes.equals(tar)).toBe(true)
  for (const step of [1, 7, 511, 512, 513, 1024, 1500]) {
    const pieces = parse(tar, step)
    expect(pieces.entries).toEqual(whole.entries)
    expect(pieces.bytes.equals(tar)).toBe(true)
  }
})

test('the offset of an entry is that of its first extension header', () => {
  const tar = makeTar({ name: 'a', content: 'x' }, { name: 'b'.repeat(101) }, { name: 'c' })
  expect(parse(tar).entries.map(({ header }) => header.offset)).toEqual([0, 1024, 2560])
})

test('global PAX headers create nothing and change nothing', ({ skip }) => {
  skip(noTar !== undefined, noTar)
  const args = [
    '-C',
    '/',
    '-c',
    '--format=posix',
    '--pax-option=globexthdr.name=g,comment=x,gid=7',
    'etc/hostname',
  ]
  const tar = execFileSync('tar', args)
  expect(tar[156]).toBe('g'.charCodeAt(0))
  const [entry, ...rest] = parse(tar).entries
  expect(entry?.header.name.toString()).toBe('etc/hostname')
  expect(entry?.header.gid).not.toBe(7)
  expect(rest).toEqual([])
})

test('an old archive marks a directory by a trailing slash', () => {
  const tar = patchHeader(makeTar({ name: 'dir/' }), 0, 156, Buffer.from([0]))
  expect(parse(tar).entries[0]?.header.type).toBe('directory')
})

test('a prefix under GNU magic, as Docker 1.12 wrote it, is read', () => {
  const prefix = Buffer.alloc(155)
  prefix.write('very/long/prefix')
  const tar = patchHeader(
    patchHeader(makeTar({ name: 'name' }), 0, 257, Buffer.from('ustar  \0')),
    0,
    345,
    prefix,
  )
  expect(names(tar)).toEqual(['very/long/prefix/name'])
})

test('times under GNU magic are no prefix', () => {
  const times = Buffer.from('00000000012\x0000000000034\0', 'latin1')
  const tar = patchHeader(
    patchHeader(makeTar({ name: 'name' }), 0, 257, Buffer.from('ustar  \0')),
    0,
    345,
    times,
  )
  expect(names(tar)).toEqual(['name'])
  expect(parse(tar).entries[0]?.header.atimeNs).toBe(10_000_000_000n)
})

test('numbers beyond octal are read from base 256', () => {
  const size = Buffer.alloc(12)
  size[0] = 0x80
  size.writeUInt32BE(4, 8)
  const mtime = Buffer.alloc(12, 0xff)
  const tar = patchHeader(patchHeader(makeTar({ name: 'n', content: 'four' }), 0, 124, size), 0, 136, mtime)
  const [entry] = parse(tar).entries
  expect(entry?.content.toString()).toBe('four')
  expect(entry?.header.mtimeNs).toBe(-1_000_000_000n)
})

test('the size that a link claims is not followed by content', () => {
  const size = Buffer.from('00000001000\0', 'latin1')
  const tar = patchHeader(
    makeTar({ name: 'l', type: 'symlink', linkName: 't' }, { name: 'next' }),
    0,
    124,
    size,
  )
  expect(names(tar)).toEqual(['l', 'next'])
})

test('signed checksums are accepted, wrong ones are not', () => {
  const tar = patchHeader(makeTar({ name: 'n' }), 0, 265, Buffer.from([0xff]))
  const sum = Number.parseInt(tar.toString('latin1', 148, 154), 8)
  tar.write(`${(sum - 256).toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  expect(names(tar)).toEqual(['n'])
  tar.write(`${(sum - 255).toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  expect(() => parse(tar)).toThrow(
    expect.objectContaining({ code: 'GD_ARCHIVE_INVALID', details: { offset: 0 } }),
  )
})

test('an archive may end between entries, in padding, or after one block of zeros, and nowhere else', () => {
  const tar = makeTar({ name: 'a', content: 'content' }, { name: 'b'.repeat(120), content: 'x'.repeat(600) })
  const ends = (length: number): boolean => {
    try {
      parse(tar.subarray(0, length))
      return true
    } catch (error) {
      if (isGraphDriverError(error, 'GD_ARCHIVE_INVALID')) return false
      throw error
    }
  }
  const second = 1024
  const content = second + 3 * 512
  const end = content + 1024
  const allowed = (length: number): boolean =>
    length === 0 ||
    (length >= 512 + 7 && length <= second) ||
    (length >= content + 600 && length <= end) ||
    length === end + 512 ||
    length === end + 1024
  for (let length = 0; length <= tar.length; length++)
    expect([length, ends(length)]).toEqual([length, allowed(length)])
})

test('a single block of zeros before an entry is refused, and after two nothing is looked at', () => {
  const one = makeTar({ name: 'a' }).subarray(0, 512)
  const zeros = Buffer.alloc(512)
  expect(() => parse(Buffer.concat([one, zeros, one]))).toThrow('a single block of zeros')
  const { entries, bytes } = parse(Buffer.concat([one, zeros, zeros, one, Buffer.from('garbage')]))
  expect(entries).toHaveLength(1)
  expect(bytes).toHaveLength(4 * 512 + 7)
})

test('limits name the entry and where it is', () => {
  const name = 'n'.repeat(200)
  const tar = makeTar({ name: 'first' }, { name })
  expect(() => parse(tar, 512, { maxNameBytes: 100 })).toThrow(
    expect.objectContaining({ code: 'GD_ARCHIVE_INVALID', details: { entry: name, offset: 512 } }),
  )
  expect(() => parse(tar, 512, { maxPaxBytes: 100 })).toThrow('exceeds 100')
  expect(() => parse(tar, 512, { maxEntries: 1 })).toThrow('more than 1 entries')
  expect(() => parse(makeTar({ name: 'n'.repeat(5000) }))).toThrow('exceeds 4096')
  const deep = makeTar({ name: './a//b/c/' }, { name: 'a/b/c/d', content: 'x'.repeat(700) })
  expect(parse(deep, 512, { maxDepth: 4, maxBytes: 700 }).entries).toHaveLength(2)
  expect(() => parse(deep, 512, { maxDepth: 3 })).toThrow(
    expect.objectContaining({ details: { entry: './a//b/c/', offset: 0 } }),
  )
  expect(() => parse(deep, 512, { maxBytes: 699 })).toThrow('more than 699 bytes')
})

test('ids that chown takes for "leave as it is" are refused', () => {
  const tar = makeTar({ name: 'n', uid: 0xffff_ffff })
  expect(() => parse(tar)).toThrow('uid 4294967295 cannot exist')
})

test('a sparse map that lies is refused', async ({ skip }) => {
  skip(noTar !== undefined, noTar)
  await using scratch = await temporaryDirectory()
  writeFileSync(`${scratch.path}/s`, 'start')
  truncateSync(`${scratch.path}/s`, 1 << 20)
  const tar = gnuTar(scratch.path, '-S', '--format=posix', '--sparse-version=0.1')
  const map = 'GNU.sparse.map=0,4096,'
  expect(tar.indexOf(map)).toBeGreaterThan(0)
  tar.write(map.replace('4096', '4095'), tar.indexOf(map))
  expect(() => parse(tar)).toThrow('sparse map is malformed')
})

test('any damage gives entries or a GD_ARCHIVE_INVALID, never anything else', () => {
  const tar = makeTar(
    { name: 'a'.repeat(150), content: 'content', mtimeNs: 1n, xattrs: [['user.a', Buffer.from('b')]] },
    { name: 'b', type: 'symlink', linkName: 'c' },
  )
  const damage = fc.array(fc.tuple(fc.nat(tar.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
  const outcome = (damaged: Buffer): string => {
    try {
      parse(damaged, 1000)
      return 'entries'
    } catch (error) {
      return isGraphDriverError(error) ? error.code : String(error)
    }
  }
  fc.assert(
    fc.property(damage, fc.boolean(), (changes, fix) => {
      let damaged: Buffer = Buffer.from(tar)
      for (const [at, byte] of changes) {
        damaged[at] = byte
        if (fix) damaged = patchHeader(damaged, at - (at % 512), 0, Buffer.alloc(0))
      }
      expect(['entries', 'GD_ARCHIVE_INVALID']).toContain(outcome(damaged))
    }),
    { numRuns: 2000 },
  )
})
