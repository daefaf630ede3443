import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  linkSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { AT_FDCWD, lsetxattr, utimensat } from '@graphdriver/sys'
import { compareTrees, need, temporaryDirectory } from '@tooling/lab'
import { expect, test } from 'vitest'
import { type TreeChange, toTreeChange } from '../../src/tree/change.ts'
import { changesBetween } from '../../src/tree/changes.ts'
import { exportChanges, packTree, type PackOptions } from '../../src/tree/pack.ts'
import { parse, type ParsedEntry } from '../tar/parsed.ts'
import { copyWithCp, latin1Path, makeSample, never } from './sample.ts'

type Sink = (chunk: Uint8Array) => void

function collect(write: (sink: Sink) => void): Buffer {
  const chunks: Buffer[] = []
  write((chunk) => chunks.push(Buffer.from(chunk)))
  return Buffer.concat(chunks)
}

function pack(tree: string, whiteouts: PackOptions['whiteouts'] = 'none'): Buffer {
  return collect((sink) => packTree(tree, sink, { whiteouts }, never))
}

function diff(tree: string, base: string | undefined): Buffer {
  return collect((sink) => exportChanges(tree, changesBetween(tree, base, never), sink, never))
}

function entryOf(tar: Buffer, name: string): ParsedEntry | undefined {
  return parse(tar).entries.find(({ header }) => header.name.toString('latin1') === name)
}

function namesOf(tar: Buffer): readonly string[] {
  return parse(tar).entries.map(({ header }) => header.name.toString('latin1'))
}

const needsTar = need({ root: true, command: 'tar' })

test('GNU tar extracts what was packed as the same tree (needs root, tar)', async ({ skip }) => {
  skip(needsTar !== undefined, needsTar)
  await using scratch = await temporaryDirectory()
  const [tree, copy] = [`${scratch.path}/tree`, `${scratch.path}/copy`]
  for (const root of [tree, copy]) mkdirSync(root)
  makeSample(tree)
  writeFileSync(`${tree}/big`, randomBytes(3_000_000))
  writeFileSync(latin1Path(tree, 'not \xff UTF-8'), 'x')
  writeFileSync(`${tree}/${'n'.repeat(255)}`, 'long')
  linkSync(`${tree}/big`, `${tree}/dir1/hard`)
  execFileSync('mknod', [`${tree}/block`, 'b', '12', '5'])
  execFileSync('mknod', [`${tree}/char`, 'c', '12', '300000'])
  execFileSync('mkfifo', [`${tree}/fifo`])
  symlinkSync('/etc/passwd', `${tree}/absolute`)
  execFileSync('chown', ['-h', '12345:3000000', `${tree}/absolute`, `${tree}/file1`])
  lsetxattr(`${tree}/file2`, 'user.note', randomBytes(900))
  lsetxattr(`${tree}/dir3`, 'user.note', Buffer.from('x'))
  utimensat(AT_FDCWD, `${tree}/file4`, undefined, -1_500_000_000n)
  execFileSync('tar', ['-C', copy, '--xattrs', '--xattrs-include=*', '-xp'], { input: pack(tree) })
  // A layer does not carry the attributes of its root.
  const exceptions = [{ reason: 'the root is not in the archive', aspect: 'mtime' as const, path: /^\/$/ }]
  expect(await compareTrees(tree, copy, { exceptions })).toEqual([])
})

test('names are sorted in each directory, directories end in a slash, the root is left out', async () => {
  await using scratch = await temporaryDirectory()
  for (const directory of ['a', 'a-b', 'B']) mkdirSync(`${scratch.path}/${directory}`)
  writeFileSync(`${scratch.path}/a/x`, '')
  writeFileSync(`${scratch.path}/z`, '')
  expect(namesOf(pack(scratch.path))).toEqual(['B/', 'a/', 'a/x', 'a-b/', 'z'])
  expect(namesOf(diff(scratch.path, undefined))).toEqual(['B/', 'a/', 'a-b/', 'a/x', 'z'])
})

test('modes carry the type of the file, times their nanoseconds only where there are any', async () => {
  await using scratch = await temporaryDirectory()
  writeFileSync(`${scratch.path}/whole`, '')
  writeFileSync(`${scratch.path}/fine`, '')
  chmodSync(`${scratch.path}/whole`, 0o4755)
  utimesSync(`${scratch.path}/whole`, 1000, 1000)
  utimensat(AT_FDCWD, `${scratch.path}/fine`, undefined, 1_000_000_000_000_000_001n)
  const tar = pack(scratch.path)
  expect(entryOf(tar, 'whole')?.header).toMatchObject({ mode: 0o104755, mtimeNs: 1_000_000_000_000n })
  expect(entryOf(tar, 'fine')?.header.mtimeNs).toBe(1_000_000_000_000_000_001n)
  // Header, PAX header with its block, end: the one without a fraction has no PAX header.
  expect(tar).toHaveLength(4 * 512 + 1024)
})

test('of an inode with several names the first is the file, in whatever order changes come', async () => {
  await using scratch = await temporaryDirectory()
  for (const name of ['c', 'a']) {
    if (name === 'c') writeFileSync(`${scratch.path}/c`, 'content')
    else linkSync(`${scratch.path}/c`, `${scratch.path}/a`)
  }
  const changes: readonly TreeChange[] = ['/c', '/a'].map((path) => toTreeChange({ path, kind: 'add' }))
  for (const order of [changes, changes.toReversed()]) {
    const tar = collect((sink) => exportChanges(scratch.path, order, sink, never))
    expect(entryOf(tar, 'a')).toMatchObject({ header: { type: 'file', size: 7 } })
    expect(entryOf(tar, 'c')?.header).toMatchObject({ type: 'hardlink', size: 0, linkName: Buffer.from('a') })
  }
})

test('deletions are whiteouts, beside directories that hold them', async () => {
  await using scratch = await temporaryDirectory()
  const [base, tree] = [`${scratch.path}/base`, `${scratch.path}/tree`]
  mkdirSync(base)
  makeSample(base)
  copyWithCp(base, tree)
  rmSync(`${tree}/dir1`, { recursive: true })
  rmSync(`${tree}/dir3/sub/inner`)
  utimesSync(`${tree}/dir3/sub`, 1_234_567_890.5, 1_234_567_890.5)
  const tar = diff(tree, base)
  expect(namesOf(tar)).toEqual(['.wh.dir1', 'dir3/', 'dir3/sub/', 'dir3/sub/.wh.inner'])
  expect(entryOf(tar, 'dir3/sub/.wh.inner')?.header.mtimeNs).toBe(1_234_567_890_000_000_000n)
  expect(entryOf(tar, '.wh.dir1')?.header).toMatchObject({ type: 'file', mode: 0, uid: 0, gid: 0, size: 0 })
})

test('what is called like a whiteout is left out with all that is in it', async () => {
  await using scratch = await temporaryDirectory()
  const [base, tree] = [`${scratch.path}/base`, `${scratch.path}/tree`]
  for (const directory of [base, tree, `${tree}/d`, `${tree}/.wh.d`]) mkdirSync(directory)
  for (const name of ['.wh', 'a.wh.b', '.wh.f', 'd/.wh..wh..opq', 'd/.wh.', '.wh.d/f', 'd/f'])
    writeFileSync(`${tree}/${name}`, '')
  const expected = ['.wh', 'a.wh.b', 'd/', 'd/f']
  expect(namesOf(pack(tree))).toEqual(expected)
  expect(namesOf(diff(tree, base))).toEqual(expected)
})

test('overlayfs whiteouts and opaque directories are converted (needs root)', async ({ skip }) => {
  const missing = need({ root: true })
  skip(missing !== undefined, missing)
  for (const xattr of ['trusted', 'user'] as const) {
    await using scratch = await temporaryDirectory()
    const tree = scratch.path
    for (const [name, mode] of [
      ['d1', 0o700],
      ['d2', 0o750],
      ['d3', 0o700],
    ] as const) {
      mkdirSync(`${tree}/${name}`)
      chmodSync(`${tree}/${name}`, mode)
    }
    writeFileSync(`${tree}/d1/f1`, '')
    lsetxattr(`${tree}/d1`, `${xattr}.overlay.opaque`, Buffer.from('y'))
    lsetxattr(`${tree}/d2`, `${xattr}.overlay.opaque`, Buffer.from('y'))
    lsetxattr(`${tree}/d3`, `${xattr}.overlay.opaque`, Buffer.from('yes'))
    execFileSync('mknod', [`${tree}/d3/f1`, 'c', '0', '0'])
    execFileSync('chown', ['7:8', `${tree}/d3/f1`])
    linkSync(`${tree}/d3/f1`, `${tree}/d3/f2`)
    const tar = pack(tree, { format: 'overlay', xattr })
    expect(namesOf(tar)).toEqual([
      'd1/',
      'd1/.wh..wh..opq',
      'd1/f1',
      'd2/',
      'd2/.wh..wh..opq',
      'd3/',
      'd3/.wh.f1',
      'd3/.wh.f2',
    ])
    expect(entryOf(tar, 'd2/.wh..wh..opq')?.header).toMatchObject({
      type: 'file',
      mode: 0o100750,
      mtimeNs: 0n,
    })
    for (const name of ['d3/.wh.f1', 'd3/.wh.f2']) {
      expect(entryOf(tar, name)?.header).toMatchObject({
        type: 'file',
        mode: 0o100600,
        uid: 7,
        gid: 8,
        size: 0,
      })
    }
    expect(parse(tar).entries.flatMap(({ header }) => header.xattrs)).toEqual([])
    expect(namesOf(pack(tree))).toContain('d3/f1')
  }
})

test('capabilities lose a namespace owner only where it is root (needs root)', async ({ skip }) => {
  const missing = need({ root: true })
  skip(missing !== undefined, missing)
  await using scratch = await temporaryDirectory()
  const revision2 = Buffer.from('0100000200200000000000000000000000000000', 'hex')
  const revision3 = Buffer.concat([revision2, Buffer.alloc(4)])
  revision3[3] = 3
  const owned = Buffer.from(revision3)
  owned.writeUInt32LE(100_000, 20)
  const values = { two: revision2, three: revision3, owned }
  for (const [name, value] of Object.entries(values)) {
    writeFileSync(`${scratch.path}/${name}`, '')
    lsetxattr(`${scratch.path}/${name}`, 'security.capability', value)
  }
  const tar = pack(scratch.path)
  const found = (name: string): Buffer | undefined => entryOf(tar, name)?.header.xattrs[0]?.[1]
  expect(found('two')).toEqual(revision2)
  expect(found('three')).toEqual(revision2)
  expect(found('owned')).toEqual(owned)
})

test('attributes of the host are not written (needs root)', async ({ skip }) => {
  const missing = need({ root: true })
  skip(missing !== undefined, missing)
  await using scratch = await temporaryDirectory()
  writeFileSync(`${scratch.path}/file`, '')
  for (const name of ['trusted.secret', 'user.overlay.origin', 'user.kept']) {
    lsetxattr(`${scratch.path}/file`, name, Buffer.from('x'))
  }
  expect(entryOf(pack(scratch.path), 'file')?.header.xattrs).toEqual([['user.kept', Buffer.from('x')]])
})

test('sockets are left out', async () => {
  await using scratch = await temporaryDirectory()
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(`${scratch.path}/socket`, resolve))
  writeFileSync(`${scratch.path}/file`, '')
  expect(namesOf(pack(scratch.path))).toEqual(['file'])
  await new Promise((resolve) => server.close(resolve))
})

test('a file that shrinks or grows while it is read leaves the archive valid', async () => {
  for (const [size, during, kept] of [
    [3_000_000, 1_000_000, 1_000_000],
    [1_000_000, 3_000_000, 1_000_000],
  ] as const) {
    await using scratch = await temporaryDirectory()
    const file = `${scratch.path}/a`
    writeFileSync(file, Buffer.alloc(size, 'x'))
    writeFileSync(`${scratch.path}/b`, 'next')
    let calls = 0
    const tar = collect((sink) =>
      packTree(scratch.path, sink, { whiteouts: 'none' }, () => {
        // The second call is from inside the first file.
        if (++calls === 2) truncateSync(file, during)
      }),
    )
    const content = entryOf(tar, 'a')?.content
    expect(content).toHaveLength(size)
    expect(content?.subarray(0, Math.min(kept, 500_000)).every((byte) => byte === 0x78)).toBe(true)
    expect(entryOf(tar, 'b')?.content.toString()).toBe('next')
  }
})

test('what vanished is left out, and a symlink in the place of a directory leads nowhere', async () => {
  await using scratch = await temporaryDirectory()
  const [tree, outside] = [`${scratch.path}/tree`, `${scratch.path}/outside`]
  for (const root of [tree, outside]) mkdirSync(root)
  writeFileSync(`${outside}/secret`, 'host')
  symlinkSync(outside, `${tree}/link`)
  const changes = ['/gone', '/gone/below', '/link/secret'].map((path) => toTreeChange({ path, kind: 'add' }))
  const tar = collect((sink) => exportChanges(tree, changes, sink, never))
  expect(tar).toEqual(Buffer.alloc(1024))
})

test('every descriptor is closed, in giving up too', async () => {
  await using scratch = await temporaryDirectory()
  mkdirSync(`${scratch.path}/${'d/'.repeat(200)}`, { recursive: true })
  writeFileSync(`${scratch.path}/big`, Buffer.alloc(2_000_000))
  const before = readdirSync('/proc/self/fd').length
  pack(scratch.path)
  let calls = 0
  const giveUp = (): void => {
    if (++calls === 2) throw new Error('given up')
  }
  expect(() => packTree(scratch.path, () => undefined, { whiteouts: 'none' }, giveUp)).toThrow('given up')
  expect(readdirSync('/proc/self/fd')).toHaveLength(before)
})
