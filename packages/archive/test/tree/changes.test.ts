import { execFileSync } from 'node:child_process'
import {
  appendFileSync,
  chmodSync,
  chownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { AT_FDCWD, lsetxattr, utimensat } from '@graphdriver/sys'
import { need, temporaryDirectory } from '@tooling/lab'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { toChange, toTreeChange } from '../../src/tree/change.ts'
import { changesBetween } from '../../src/tree/changes.ts'
import { copyWithCp, latin1Path, makeSample, never } from './sample.ts'

interface Pair extends AsyncDisposable {
  readonly path: string
  readonly tree: string
  readonly base: string
}

/** Two equal trees. */
async function pair(fill: (root: string) => void): Promise<Pair> {
  const scratch = await temporaryDirectory()
  const base = `${scratch.path}/base`
  const tree = `${scratch.path}/tree`
  mkdirSync(base)
  fill(base)
  copyWithCp(base, tree)
  return { path: scratch.path, tree, base, [Symbol.asyncDispose]: () => scratch[Symbol.asyncDispose]() }
}

const letters = { add: 'A', modify: 'C', delete: 'D' } as const

function changes(tree: string, base: string | undefined): readonly string[] {
  return changesBetween(tree, base, never)
    .map(toChange)
    .map(({ path, kind }) => `${letters[kind]} ${path}`)
}

test('a copy has no changes', async () => {
  await using it = await pair(makeSample)
  expect(changes(it.tree, it.base)).toEqual([])
})

test('everything is new compared to nothing, in byte order of whole paths', async () => {
  await using scratch = await temporaryDirectory()
  for (const directory of ['a', 'a/z', 'a-b']) mkdirSync(`${scratch.path}/${directory}`)
  writeFileSync(`${scratch.path}/a/z/file`, '')
  expect(changes(scratch.path, undefined)).toEqual(['A /a', 'A /a-b', 'A /a/z', 'A /a/z/file'])
})

test("moby's mutations of its sample directory are found, and nothing else", async () => {
  await using it = await pair(makeSample)
  const at = (name: string): string => `${it.tree}/${name}`
  rmSync(at('dir1'), { recursive: true })
  rmSync(at('file1'))
  rmSync(at('symlink1'))
  rmSync(at('dir2'), { recursive: true })
  writeFileSync(at('dir2'), 'a file now')
  writeFileSync(at('file2'), 'rewritten with another size')
  chmodSync(at('file3'), 0o644)
  utimesSync(at('file4'), 1, 2)
  rmSync(at('file5'))
  mkdirSync(at('file5'))
  rmSync(at('symlink2'))
  symlinkSync('elsewhere', at('symlink2'))
  mkdirSync(at('dirnew'))
  writeFileSync(at('filenew'), '')
  symlinkSync('x', at('symlinknew'))
  utimesSync(at('dir3'), 1, 2)
  expect(changes(it.tree, it.base)).toEqual([
    'D /dir1',
    'C /dir2',
    'A /dirnew',
    'D /file1',
    'C /file2',
    'C /file3',
    'C /file4',
    'C /file5',
    'A /filenew',
    'D /symlink1',
    'C /symlink2',
    'A /symlinknew',
  ])
})

test('directories above a change are listed as modified, the root is not', async () => {
  await using it = await pair((root) => mkdirSync(`${root}/a/b/c`, { recursive: true }))
  writeFileSync(`${it.tree}/a/b/c/new`, '')
  writeFileSync(`${it.tree}/a/b/other`, '')
  expect(changes(it.tree, it.base)).toEqual(['C /a', 'C /a/b', 'C /a/b/c', 'A /a/b/c/new', 'A /a/b/other'])
})

test('a directory in the place of a file is modified and its content added', async () => {
  await using it = await pair((root) => writeFileSync(`${root}/x`, ''))
  rmSync(`${it.tree}/x`)
  mkdirSync(`${it.tree}/x`)
  writeFileSync(`${it.tree}/x/y`, '')
  expect(changes(it.tree, it.base)).toEqual(['C /x', 'A /x/y'])
})

test('a file rewritten with the same size a nanosecond later is found', async () => {
  await using it = await pair((root) => writeFileSync(`${root}/file`, 'same'))
  for (const [root, ns] of [
    [it.base, 1_700_000_000_000_000_001n],
    [it.tree, 1_700_000_000_000_000_002n],
  ] as const) {
    utimensat(AT_FDCWD, `${root}/file`, undefined, ns)
  }
  expect(changes(it.tree, it.base)).toEqual(['C /file'])
  utimensat(AT_FDCWD, `${it.base}/file`, undefined, 1_700_000_000_000_000_000n)
  // Whole seconds come from a tar that had no more, and say nothing of the rest.
  expect(changes(it.tree, it.base)).toEqual([])
})

test('owner, group and device numbers count (needs root)', async ({ skip }) => {
  const missing = need({ root: true })
  skip(missing !== undefined, missing)
  await using it = await pair((root) => {
    for (const name of ['uid', 'gid']) writeFileSync(`${root}/${name}`, '')
    execFileSync('mknod', [`${root}/device`, 'c', '1', '3'])
    execFileSync('touch', ['-d', '@1', `${root}/device`])
  })
  chownSync(`${it.tree}/uid`, 1, 0)
  chownSync(`${it.tree}/gid`, 0, 1)
  rmSync(`${it.tree}/device`)
  execFileSync('mknod', [`${it.tree}/device`, 'c', '1', '5'])
  execFileSync('touch', ['-d', '@1', `${it.tree}/device`])
  expect(changes(it.tree, it.base)).toEqual(['C /device', 'C /gid', 'C /uid'])
})

test('a symlink that points elsewhere, of equal length and time, is found', async () => {
  await using it = await pair((root) => symlinkSync('aaa', `${root}/link`))
  rmSync(`${it.tree}/link`)
  symlinkSync('bbb', `${it.tree}/link`)
  for (const root of [it.tree, it.base]) lutimesSync(`${root}/link`, 1, 1)
  expect(changes(it.tree, it.base)).toEqual(['C /link'])
})

test('capabilities and user attributes count, overlayfs marks do not (needs root)', async ({ skip }) => {
  const missing = need({ root: true })
  skip(missing !== undefined, missing)
  await using it = await pair((root) => {
    for (const name of ['capable', 'noted', 'marked']) writeFileSync(`${root}/${name}`, '')
    mkdirSync(`${root}/directory`)
  })
  const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex')
  lsetxattr(`${it.tree}/capable`, 'security.capability', capability)
  lsetxattr(`${it.tree}/noted`, 'user.note', Buffer.from('x'))
  lsetxattr(`${it.tree}/directory`, 'user.note', Buffer.from('x'))
  lsetxattr(`${it.tree}/marked`, 'trusted.overlay.origin', Buffer.from('x'))
  lsetxattr(`${it.tree}/marked`, 'user.overlay.origin', Buffer.from('x'))
  expect(changes(it.tree, it.base)).toEqual(['C /capable', 'C /directory', 'C /noted'])
})

test('hard links into the base are the same file, and are not looked at', async () => {
  await using it = await pair((root) => writeFileSync(`${root}/file`, ''))
  rmSync(`${it.tree}/file`)
  linkSync(`${it.base}/file`, `${it.tree}/file`)
  appendFileSync(`${it.tree}/file`, 'both')
  expect(statSync(`${it.tree}/file`).ino).toBe(statSync(`${it.base}/file`).ino)
  expect(changes(it.tree, it.base)).toEqual([])
})

test('equal inode numbers on two filesystems mean nothing (needs root)', async ({ skip }) => {
  const missing = need({ root: true })
  skip(missing !== undefined, missing)
  await using scratch = await temporaryDirectory()
  const roots = ['tree', 'base'].map((name) => `${scratch.path}/${name}`)
  const mounted: string[] = []
  try {
    for (const root of roots) {
      mkdirSync(root)
      execFileSync('mount', ['-t', 'tmpfs', 'gd-changes-test', root])
      mounted.push(root)
      // Not of one size: both are written in one tick of the kernel's clock.
      writeFileSync(`${root}/file`, 'x'.repeat(mounted.length))
    }
    const [tree = '', base = ''] = roots
    expect(statSync(`${tree}/file`).ino).toBe(statSync(`${base}/file`).ino)
    expect(changes(tree, base)).toEqual(['C /file'])
  } finally {
    for (const root of mounted) execFileSync('umount', [root])
  }
})

test('names that are not UTF-8 keep their bytes, and are refused where they lost them', async () => {
  await using it = await pair(() => undefined)
  writeFileSync(latin1Path(it.tree, 'a\xff\xc3\xbc'), '')
  const [change, ...rest] = changesBetween(it.tree, it.base, never)
  expect(rest).toEqual([])
  expect(change?.path).toEqual(Buffer.from([0x61, 0xff, 0xc3, 0xbc]))
  const shown = change === undefined ? { path: '', kind: 'add' as const } : toChange(change)
  expect(shown.path).toBe('/a\udcffü')
  expect(toTreeChange(shown)).toEqual(change)
  const printed = { ...shown, path: Buffer.from(shown.path).toString() }
  expect(printed.path).toBe('/a\ufffdü')
  expect(() => toTreeChange(printed)).toThrow(expect.objectContaining({ code: 'GD_ARCHIVE_UNSUPPORTED' }))
})

test('any path comes back from its text', () => {
  const path = fc
    .uint8Array({ min: 1, maxLength: 60, size: 'max' })
    .map((bytes) => Buffer.from(bytes.filter((byte) => byte !== 0x2f)))
    .filter((bytes) => !bytes.includes('\ufffd'))
  fc.assert(
    fc.property(
      fc.oneof(
        path,
        fc.string({ unit: 'grapheme' }).map((text) => Buffer.from(text)),
      ),
      (bytes) => {
        fc.pre(!bytes.includes('\ufffd') && bytes[0] !== 0x2f)
        const text = toChange({ path: bytes, kind: 'add' })
        expect(toTreeChange(structuredClone(text)).path).toEqual(bytes)
      },
    ),
  )
})

test('symlinks are never followed, on neither side', async () => {
  await using it = await pair((root) => {
    mkdirSync(`${root}/real`)
    symlinkSync('/etc', `${root}/link`)
  })
  rmSync(`${it.tree}/real`, { recursive: true })
  symlinkSync('/etc', `${it.tree}/real`)
  expect(changes(it.tree, it.base)).toEqual(['C /real'])
  expect(changes(it.base, it.tree)).toEqual(['C /real'])
})

test('a tree far deeper than descriptors are kept for is compared, and all are closed', async () => {
  await using it = await pair((root) => mkdirSync(`${root}/${'d/'.repeat(500)}`, { recursive: true }))
  writeFileSync(`${it.tree}/${'d/'.repeat(500)}deep`, '')
  const before = readdirSync('/proc/self/fd').length
  expect(changes(it.tree, it.base)).toHaveLength(501)
  expect(readdirSync('/proc/self/fd')).toHaveLength(before)
})

test('the walk ends when check throws, and closes what it opened', async () => {
  await using it = await pair(makeSample)
  const before = readdirSync('/proc/self/fd').length
  expect(() =>
    changesBetween(it.tree, it.base, () => {
      throw new Error('given up')
    }),
  ).toThrow('given up')
  expect(() => changesBetween(it.tree, `${it.path}/missing`, never)).toThrow('ENOENT')
  expect(readdirSync('/proc/self/fd')).toHaveLength(before)
})
