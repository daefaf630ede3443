import { execFileSync } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { AT_FDCWD, mkdirat, mount, MS, O, openat, umount } from '@graphdriver/sys'
import { need, temporaryDirectory } from '@tooling/lab'
import { expect, test } from 'vitest'
import { atOnce, removeTree } from '../../src/tree/remove.ts'
import { latin1Path, makeSample } from './sample.ts'

const more = (): boolean => true

test('a tree is removed with everything in it, and nothing that it links to', async () => {
  await using scratch = await temporaryDirectory()
  const [tree, outside] = [`${scratch.path}/tree`, `${scratch.path}/outside`]
  for (const root of [tree, outside]) mkdirSync(root)
  makeSample(tree)
  writeFileSync(latin1Path(tree, '\xff'), '')
  writeFileSync(`${outside}/kept`, '')
  symlinkSync(outside, `${tree}/link`)
  symlinkSync(outside, `${tree}/dir1/link`)
  removeTree(tree, more)
  expect(readdirSync(scratch.path)).toEqual(['outside'])
  expect(readdirSync(outside)).toEqual(['kept'])
})

test('what is not there is removed already; a file or a symlink goes by itself', async () => {
  await using scratch = await temporaryDirectory()
  removeTree(`${scratch.path}/missing`, more)
  removeTree(`${scratch.path}/missing/below`, more)
  writeFileSync(`${scratch.path}/file`, '')
  symlinkSync(scratch.path, `${scratch.path}/link`)
  removeTree(`${scratch.path}/link`, more)
  removeTree(`${scratch.path}/file/below`, more)
  expect(readdirSync(scratch.path)).toEqual(['file'])
  removeTree(`${scratch.path}/file`, more)
  expect(readdirSync(scratch.path)).toEqual([])
})

test('a tree deeper than any path can be is removed', async () => {
  await using scratch = await temporaryDirectory()
  const name = 'd'.repeat(200)
  let fd = openat(AT_FDCWD, scratch.path, O.DIRECTORY)
  // 60 levels of 200 bytes: three times PATH_MAX.
  for (let level = 0; level < 60; level++) {
    mkdirat(fd, name, 0o755)
    mkdirat(fd, 'sibling', 0o755)
    const next = openat(fd, name, O.DIRECTORY)
    closeSync(fd)
    fd = next
  }
  closeSync(fd)
  const before = readdirSync('/proc/self/fd').length
  removeTree(`${scratch.path}/${name}`, more)
  removeTree(`${scratch.path}/sibling`, more)
  expect(readdirSync(scratch.path)).toEqual([])
  expect(readdirSync('/proc/self/fd')).toHaveLength(before)
})

test('in front of the caller only so many names are removed, none that is large, and of a large directory nothing is read', async () => {
  await using scratch = await temporaryDirectory()
  const fresh = (fill: (tree: string) => void): string => {
    const tree = `${scratch.path}/tree`
    removeTree(tree, more)
    mkdirSync(`${tree}/below`, { recursive: true })
    for (const name of ['a', 'below/b', 'c']) writeFileSync(`${tree}/${name}`, '')
    fill(tree)
    return tree
  }
  const small = fresh(() => undefined)
  expect(removeTree(small, atOnce(4))).toBe(false)
  expect(removeTree(small, atOnce(5))).toBe(true)
  const withLarge = fresh((tree) => writeFileSync(`${tree}/below/large`, Buffer.alloc(2_000_000)))
  expect(removeTree(withLarge, atOnce(100))).toBe(false)
  expect(existsSync(`${withLarge}/below/large`)).toBe(true)
  const many = fresh((tree) => {
    for (let index = 0; index < 1500; index++) writeFileSync(`${tree}/below/${'n'.repeat(40)}-${index}`, '')
  })
  expect(removeTree(many, atOnce(10_000))).toBe(false)
  expect(readdirSync(`${many}/below`)).toHaveLength(1501)
  expect(removeTree(`${scratch.path}/missing`, atOnce(1))).toBe(true)
})

test('a mount point inside stops it (needs root)', async ({ skip }) => {
  const missing = need({ root: true })
  skip(missing !== undefined, missing)
  await using scratch = await temporaryDirectory()
  const mount = `${scratch.path}/tree/directory/mount`
  mkdirSync(mount, { recursive: true })
  execFileSync('mount', ['-t', 'tmpfs', 'gd-remove-test', mount])
  try {
    const busy = expect.objectContaining({ code: 'EBUSY', path: mount })
    expect(() => removeTree(`${scratch.path}/tree`, more)).toThrow(busy)
  } finally {
    execFileSync('umount', [mount])
  }
  removeTree(`${scratch.path}/tree`, more)
  expect(existsSync(`${scratch.path}/tree`)).toBe(false)
})

test('giving up leaves the rest, to be removed later', async () => {
  await using scratch = await temporaryDirectory()
  const tree = `${scratch.path}/tree`
  mkdirSync(tree)
  makeSample(tree)
  const giveUp = (): never => {
    throw new Error('given up')
  }
  expect(() => removeTree(tree, giveUp)).toThrow('given up')
  expect(existsSync(tree)).toBe(true)
  removeTree(tree, more)
  expect(existsSync(tree)).toBe(false)
})

test.skipIf(process.geteuid?.() !== 0)(
  'what is mounted inside is refused before it is touched (needs root)',
  async () => {
    await using scratch = await temporaryDirectory()
    const tree = `${scratch.path}/tree`
    const host = `${scratch.path}/host`
    mkdirSync(`${tree}/a/mnt`, { recursive: true })
    mkdirSync(host)
    writeFileSync(`${host}/precious`, '')
    mount({ source: host, target: `${tree}/a/mnt`, flags: MS.BIND })
    try {
      expect(() => removeTree(tree, more)).toThrow(
        expect.objectContaining({ code: 'EBUSY', path: `${tree}/a/mnt` }),
      )
      expect(readdirSync(host)).toEqual(['precious'])
    } finally {
      umount(`${tree}/a/mnt`)
    }
    removeTree(tree, more)
    expect(existsSync(tree)).toBe(false)
  },
)
