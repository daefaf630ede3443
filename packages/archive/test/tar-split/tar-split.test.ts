import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { buffer } from 'node:stream/consumers'
import { gzipSync } from 'node:zlib'
import { need, temporaryDirectory } from '@tooling/lab'
import { pack } from 'tar-stream'
import { expect, test } from 'vitest'
import { assembleTar, splitTar, TarSplitter } from '../../src/index.ts'
import { makeTar } from '../tar/made-tar.ts'

function split(tar: Uint8Array, step = 100_000): string {
  const lines: Uint8Array[] = []
  const splitter = new TarSplitter((bytes) => lines.push(bytes))
  for (let at = 0; at < tar.length; at += step) {
    const chunk = Buffer.from(tar.subarray(at, at + step))
    splitter.push(chunk)
    chunk.fill(0xee)
  }
  splitter.finish()
  return Buffer.concat(lines).toString()
}

async function* inPieces(bytes: Uint8Array, step = 1000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += step) yield bytes.subarray(at, at + step)
}

async function assemble(lines: string, root: string): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of assembleTar(inPieces(gzipSync(lines)), root)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function extract(tar: Buffer, root: string): void {
  execFileSync('tar', ['-C', root, '--xattrs', '-x'], { input: tar })
}

const noTar = need({ command: 'tar' })
const example = makeTar(
  { name: 'etc/', type: 'directory', mode: 0o755 },
  { name: 'etc/motd', mode: 0o644, content: 'hi\n' },
)
const base64 = (from: number, to: number): string => example.subarray(from, to).toString('base64')
const exampleLines = [
  `{"type":2,"payload":"${base64(0, 512)}","position":0}`,
  '{"type":1,"name":"etc/","payload":null,"position":1}',
  `{"type":2,"payload":"${base64(512, 1024)}","position":2}`,
  '{"type":1,"name":"etc/motd","size":3,"payload":"YUmYEAAAAAA=","position":3}',
  `{"type":2,"payload":"${base64(1027, 2560)}","position":4}`,
  '{"type":2,"payload":"","position":5}',
  '',
].join('\n')

test("the recipe of a small layer is Docker's, byte for byte, however it is cut", () => {
  for (const step of [1, 100, 512, 600, 5000]) expect(split(example, step)).toBe(exampleLines)
})

test('what follows the end marker is kept in segments of its own, of at most 1 MiB', () => {
  const trailing = randomBytes(2.5 * 1024 * 1024)
  const lines = split(Buffer.concat([example, trailing]))
    .trim()
    .split('\n')
  const payloads = lines.map((line) => Buffer.from(String(JSON.parse(line).payload ?? ''), 'base64').length)
  expect(payloads.slice(4)).toEqual([1533, 1 << 20, 1 << 20, 1 << 19, 0])
})

test('names are escaped as Go does, and those that are not UTF-8 are base64', () => {
  const line = (name: string | Buffer): string => split(makeTar({ name })).split('\n')[1] ?? ''
  expect(line('a<b>&c"\\d')).toContain(String.raw`"name":"a\u003cb\u003e\u0026c\"\\d"`)
  expect(line('\b\f\n\r\t\u0001')).toContain(String.raw`"name":"\u0008\u000c\n\r\t\u0001"`)
  expect(line(String.raw`\b\f`)).toContain(String.raw`"name":"\\b\\f"`)
  expect(line('ü\u2028')).toContain(String.raw`"name":"ü\u2028"`)
  expect(line(Buffer.from([0x61, 0xff]))).toContain('"name_raw":"Yf8=","payload":null')
})

for (const [label, make] of [
  ['GNU tar in its own format', ['--format=gnu']],
  ['GNU tar in PAX format with attributes', ['--format=posix', '--xattrs']],
  ['GNU tar with old sparse files', ['--format=oldgnu', '-S']],
  ['GNU tar with new sparse files', ['--format=posix', '-S']],
] as const) {
  test(`a tar by ${label} comes back byte for byte (needs root, tar)`, async ({ skip }) => {
    const missing = need({ root: true, command: 'tar' }, { command: 'setfattr' })
    skip(missing !== undefined, missing)
    await using scratch = await temporaryDirectory()
    const [source, root] = [`${scratch.path}/source`, `${scratch.path}/root`]
    mkdirSync(`${source}/${'deep/'.repeat(40)}`, { recursive: true })
    mkdirSync(root)
    writeFileSync(`${source}/file`, randomBytes(700_000))
    writeFileSync(`${source}/empty`, '')
    writeFileSync(`${source}/${'deep/'.repeat(40)}${'n'.repeat(200)}`, 'long')
    writeFileSync(Buffer.concat([Buffer.from(`${source}/`), Buffer.from([0xff, 0xfe])]), 'not UTF-8')
    linkSync(`${source}/file`, `${source}/hard`)
    symlinkSync('/etc/passwd', `${source}/soft`)
    execFileSync('setfattr', ['-n', 'user.note', '-v', 'x'.repeat(600), `${source}/file`])
    const fd = openSync(`${source}/sparse`, 'w')
    for (let i = 1; i < 30; i++) writeSync(fd, 'data', i * 100_000)
    closeSync(fd)
    truncateSync(`${source}/sparse`, 5_000_000)
    const tar = execFileSync('tar', ['-C', source, '-c', ...make, '.'], { maxBuffer: 1 << 28 })
    extract(tar, root)
    expect((await assemble(split(tar), root)).equals(tar)).toBe(true)
  })
}

test('a tar by tar-stream comes back byte for byte', async ({ skip }) => {
  skip(noTar !== undefined, noTar)
  await using scratch = await temporaryDirectory()
  const stream = pack()
  stream.entry({ name: `${'n'.repeat(150)}/ü`, size: 5 }, 'hello')
  stream.entry({ name: 'link', type: 'symlink', linkname: 'x'.repeat(150) })
  stream.finalize()
  const tar = await buffer(stream)
  extract(tar, scratch.path)
  expect((await assemble(split(tar), scratch.path)).equals(tar)).toBe(true)
})

test('splitTar passes the tar through and leaves a recipe', async () => {
  const lines: Uint8Array[] = []
  const passed: Uint8Array[] = []
  const sink = { write: (chunk: Uint8Array) => lines.push(chunk) }
  for await (const chunk of splitTar(inPieces(example), sink)) passed.push(chunk)
  expect(Buffer.concat(passed)).toEqual(example)
  expect(Buffer.concat(lines).toString()).toBe(exampleLines)
})

test('a recipe without the last, empty segment is accepted, as newer Dockers write it', async () => {
  await using scratch = await temporaryDirectory()
  mkdirSync(`${scratch.path}/etc`)
  writeFileSync(`${scratch.path}/etc/motd`, 'hi\n')
  const newer = exampleLines.split('\n').slice(0, 5).join('\n')
  expect(await assemble(newer, scratch.path)).toEqual(example)
})

test('two entries of one path are refused, in whatever spelling', () => {
  for (const second of ['a/b', './a/b', '/a/b', 'a//b', 'a/x/../b', 'a/b/']) {
    expect(() => split(makeTar({ name: 'a/b' }, { name: second }))).toThrow(
      expect.objectContaining({ code: 'GD_ARCHIVE_INVALID', details: { entry: second, offset: 512 } }),
    )
  }
})

test('a tar that is cut short leaves no recipe', () => {
  expect(() => split(example.subarray(0, 1026))).toThrow(
    expect.objectContaining({ code: 'GD_ARCHIVE_INVALID' }),
  )
})

test('a file that changed, grew, shrank or went is named', async () => {
  await using scratch = await temporaryDirectory()
  mkdirSync(`${scratch.path}/etc`)
  const motd = `${scratch.path}/etc/motd`
  const failure = async (): Promise<unknown> => {
    try {
      await assemble(exampleLines, scratch.path)
      return undefined
    } catch (error) {
      return error
    }
  }
  const corrupt = (message: RegExp, expected: string, found: RegExp): unknown =>
    expect.objectContaining({
      code: 'GD_LAYER_CORRUPT',
      message: expect.stringMatching(message),
      details: { id: scratch.path, path: 'etc/motd', expected, found: expect.stringMatching(found) },
    })
  expect(await failure()).toEqual(corrupt(/missing/, 'a file', /^nothing$/))
  writeFileSync(motd, 'ho\n')
  expect(await failure()).toEqual(
    corrupt(
      /CRC-64 should be 6149981000000000, found [0-9a-f]{16}/,
      'CRC-64 6149981000000000',
      /^CRC-64 [0-9a-f]{16}$/,
    ),
  )
  writeFileSync(motd, 'hi\nmore')
  expect(await failure()).toEqual(corrupt(/should have 3 bytes, found 7 bytes/, '3 bytes', /^7 bytes$/))
  writeFileSync(motd, 'h')
  expect(await failure()).toEqual(corrupt(/should have 3 bytes, found 1 bytes/, '3 bytes', /^1 bytes$/))
  execFileSync('rm', [motd])
  symlinkSync('/etc/hostname', motd)
  expect(await failure()).toEqual(corrupt(/missing/, 'a file', /^nothing$/))
  execFileSync('rm', [motd])
  execFileSync('mkfifo', [motd])
  expect(await failure()).toEqual(corrupt(/found no file/, '3 bytes', /^no file$/))
})

test('symlinks to directories are followed inside the root only', async () => {
  await using scratch = await temporaryDirectory()
  const [root, outside] = [`${scratch.path}/root`, `${scratch.path}/outside`]
  for (const directory of [root, `${root}/real`, outside]) mkdirSync(directory)
  writeFileSync(`${root}/real/motd`, 'hi\n')
  symlinkSync('/real', `${root}/etc`)
  expect(await assemble(exampleLines, root)).toEqual(example)
  execFileSync('rm', [`${root}/etc`])
  writeFileSync(`${outside}/motd`, 'hi\n')
  symlinkSync('../outside', `${root}/etc`)
  await expect(assemble(exampleLines, root)).rejects.toMatchObject({ code: 'GD_LAYER_CORRUPT' })
})

test('a damaged recipe is GD_LAYER_CORRUPT', async () => {
  await using scratch = await temporaryDirectory()
  mkdirSync(`${scratch.path}/etc`)
  writeFileSync(`${scratch.path}/etc/motd`, 'hi\n')
  const lines = exampleLines.split('\n')
  const damaged = [
    exampleLines.replace('"position":2', '"position":3'),
    lines.toSpliced(1, 1).join('\n'),
    exampleLines.replace('"size":3', '"size":-3'),
    exampleLines.replace('YUmYEAAAAAA=', 'YUmY'),
    exampleLines.slice(0, 900),
    exampleLines.replace('"type":1', '"type":3'),
    'null',
  ]
  for (const recipe of damaged) {
    await expect(assemble(recipe, scratch.path)).rejects.toMatchObject({ code: 'GD_LAYER_CORRUPT' })
  }
  const cut = gzipSync(exampleLines).subarray(0, 200)
  const read = async (): Promise<void> => {
    for await (const chunk of assembleTar(inPieces(cut), scratch.path))
      expect(chunk.length).toBeGreaterThan(0)
  }
  await expect(read()).rejects.toMatchObject({ code: 'GD_LAYER_CORRUPT' })
})

test('chunks are large, and leaving early closes everything', async () => {
  await using scratch = await temporaryDirectory()
  const content = randomBytes(5_000_000)
  const small = Array.from({ length: 500 }, (_, i) => ({ name: `f${i}`, content: 'x' }))
  const tar = makeTar({ name: 'big', content }, ...small)
  writeFileSync(`${scratch.path}/big`, content)
  for (const { name } of small) writeFileSync(`${scratch.path}/${name}`, 'x')
  const recipe = gzipSync(split(tar))
  const sizes: number[] = []
  for await (const chunk of assembleTar(inPieces(recipe), scratch.path)) sizes.push(chunk.length)
  for (const size of sizes.slice(0, -1)) expect(size).toBeGreaterThanOrEqual(256 * 1024)
  const open = (): number => readdirSync('/proc/self/fd').length
  const before = open()
  for await (const chunk of assembleTar(inPieces(recipe), scratch.path)) {
    expect(chunk.length).toBeGreaterThan(0)
    break
  }
  expect(open()).toBe(before)
})

test('an abort ends assembly with its reason', async () => {
  await using scratch = await temporaryDirectory()
  const reason = new Error('enough')
  const stream = assembleTar(inPieces(gzipSync(exampleLines)), scratch.path, {
    signal: AbortSignal.abort(reason),
  })
  await expect(stream.next()).rejects.toBe(reason)
})
