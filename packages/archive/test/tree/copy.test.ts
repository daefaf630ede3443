import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { AT_FDCWD, lgetxattr, llistxattr, lsetxattr, utimensat } from '@graphdriver/sys'
import { compareTrees, need, temporaryDirectory } from '@tooling/lab'
import { expect, test } from 'vitest'
import { type CopyOptions, copyTree } from '../../src/tree/copy.ts'
import { latin1Path, makeSample, never } from './sample.ts'

const needsRoot = need({ root: true })

function copy(source: string, target: string, options: CopyOptions = { mode: 'content' }): boolean {
  mkdirSync(target)
  return copyTree(source, target, options, never).reflinked
}

test('a copy equals its source in all that lstat and getfattr tell (needs root)', async ({ skip }) => {
  skip(needsRoot !== undefined, needsRoot)
  await using scratch = await temporaryDirectory()
  const [source, target] = [`${scratch.path}/source`, `${scratch.path}/target`]
  mkdirSync(source)
  makeSample(source)
  writeFileSync(`${source}/big`, randomBytes(3_000_000))
  linkSync(`${source}/big`, `${source}/dir3/hard`)
  linkSync(`${source}/symlink1`, `${source}/dir3/hard-symlink`)
  writeFileSync(latin1Path(source, 'not \xff UTF-8'), 'x')
  execFileSync('mknod', [`${source}/block`, 'b', '12', '5'])
  execFileSync('mknod', [`${source}/char`, 'c', '0', '0'])
  execFileSync('mkfifo', [`${source}/fifo`])
  chmodSync(`${source}/fifo`, 0o4600)
  execFileSync('chown', ['-h', '7:8', `${source}/symlink2`, `${source}/file3`, `${source}/dir4`])
  chmodSync(`${source}/file3`, 0o6755)
  chmodSync(`${source}/dir4`, 0o3500)
  lsetxattr(
    `${source}/file3`,
    'security.capability',
    Buffer.from('0100000200200000000000000000000000000000', 'hex'),
  )
  lsetxattr(`${source}/file2`, 'user.note', randomBytes(300))
  lsetxattr(`${source}/dir4`, 'trusted.note', Buffer.from('x'))
  utimensat(AT_FDCWD, `${source}/dir3`, 5n, 1_234_567_890_123_456_789n)
  chmodSync(source, 0o2751)
  lsetxattr(source, 'user.root', Buffer.from('root'))
  utimesSync(source, 1000, 1000)
  copy(source, target)
  expect(await compareTrees(source, target)).toEqual([])
})

test('access control lists are copied, the default ones of a directory are not inherited (needs root)', async ({
  skip,
}) => {
  const missing = need({ root: true }, { command: 'setfacl', package: 'acl' })
  skip(missing !== undefined, missing)
  await using scratch = await temporaryDirectory()
  const [source, target] = [`${scratch.path}/source`, `${scratch.path}/target`]
  mkdirSync(`${source}/directory`, { recursive: true })
  writeFileSync(`${source}/directory/plain`, '')
  writeFileSync(`${source}/shared`, '')
  execFileSync('setfacl', ['-m', 'u:5:rw', `${source}/shared`])
  execFileSync('setfacl', ['-d', '-m', 'u:5:rwx', `${source}/directory`])
  copy(source, target)
  const shown = (root: string): string =>
    execFileSync('getfacl', ['-nR', '.'], { cwd: root, encoding: 'utf8' })
  expect(shown(target)).toBe(shown(source))
})

test("overlayfs' marks stay behind, but for opaque on request (needs root)", async ({ skip }) => {
  skip(needsRoot !== undefined, needsRoot)
  await using scratch = await temporaryDirectory()
  const source = `${scratch.path}/source`
  mkdirSync(`${source}/d`, { recursive: true })
  for (const name of [
    'trusted.overlay.opaque',
    'trusted.overlay.origin',
    'user.overlay.opaque',
    'user.mine',
  ]) {
    lsetxattr(`${source}/d`, name, Buffer.from('y'))
  }
  const left = (overlayXattrs: CopyOptions['overlayXattrs']): readonly string[] => {
    const target = `${scratch.path}/${overlayXattrs ?? 'none'}`
    copy(source, target, { mode: 'content', overlayXattrs })
    return llistxattr(`${target}/d`)
      .filter((name) => name !== 'security.selinux')
      .toSorted()
  }
  expect(left(undefined)).toEqual(['user.mine'])
  expect(left('trusted')).toEqual(['trusted.overlay.opaque', 'user.mine'])
  expect(left('user')).toEqual(['user.mine', 'user.overlay.opaque'])
})

test('hardlink mode shares files and leaves them as they are', async () => {
  await using scratch = await temporaryDirectory()
  const [source, target] = [`${scratch.path}/source`, `${scratch.path}/target`]
  mkdirSync(source)
  makeSample(source)
  expect(copy(source, target, { mode: 'hardlink' })).toBe(false)
  for (const name of ['file1', 'dir3/sub/inner', 'dir1/inner']) {
    expect(statSync(`${target}/${name}`).ino).toBe(statSync(`${source}/${name}`).ino)
  }
  expect(statSync(`${target}/dir1`).ino).not.toBe(statSync(`${source}/dir1`).ino)
  expect(await compareTrees(source, target)).toEqual([])
})

test('holes stay holes', async () => {
  await using scratch = await temporaryDirectory()
  const [source, target] = [`${scratch.path}/source`, `${scratch.path}/target`]
  mkdirSync(source)
  const fd = openSync(`${source}/sparse`, 'w')
  for (let i = 1; i < 10; i++) writeSync(fd, `data ${i}`, i * 10_000_000)
  closeSync(fd)
  truncateSync(`${source}/sparse`, 200_000_000)
  writeFileSync(`${source}/hole`, '')
  truncateSync(`${source}/hole`, 1_000_000_000)
  copy(source, target)
  expect(execFileSync('cmp', [`${source}/sparse`, `${target}/sparse`]).toString()).toBe('')
  expect(statSync(`${target}/sparse`).blocks).toBeLessThanOrEqual(statSync(`${source}/sparse`).blocks + 64)
  expect(statSync(`${target}/hole`)).toMatchObject({ size: 1_000_000_000, blocks: 0 })
})

test('sockets stay sockets', async () => {
  await using scratch = await temporaryDirectory()
  const [source, target] = [`${scratch.path}/source`, `${scratch.path}/target`]
  mkdirSync(source)
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(`${source}/socket`, resolve))
  copy(source, target)
  await new Promise((resolve) => server.close(resolve))
  expect(statSync(`${target}/socket`).isSocket()).toBe(true)
})

for (const [filesystem, make, shares] of [
  ['xfs', ['mkfs.xfs', '-q', '-m', 'reflink=1'], true],
  ['btrfs', ['mkfs.btrfs', '-q'], true],
  ['ext4', ['mkfs.ext4', '-q'], false],
] as const) {
  test(`content is ${shares ? '' : 'not '}shared on ${filesystem} (needs root, mkfs.${filesystem})`, async ({
    skip,
  }) => {
    const missing = need({ root: true, command: make[0] }, { kernelFilesystem: filesystem })
    skip(missing !== undefined, missing)
    await using scratch = await temporaryDirectory()
    const image = `${scratch.path}/image`
    const mount = `${scratch.path}/mount`
    writeFileSync(image, '')
    truncateSync(image, 400 * 1024 * 1024)
    execFileSync(make[0], [...make.slice(1), image])
    mkdirSync(mount)
    execFileSync('mount', ['-o', 'loop', image, mount])
    try {
      const source = `${mount}/source`
      mkdirSync(source)
      writeFileSync(`${source}/file`, randomBytes(500_000))
      lsetxattr(`${source}/file`, 'user.note', Buffer.from('x'))
      expect(copy(source, `${mount}/target`)).toBe(shares)
      expect(await compareTrees(source, `${mount}/target`)).toEqual([])
      // Across filesystems nothing can be shared, and everything still arrives.
      expect(copy(source, `${scratch.path}/elsewhere`)).toBe(false)
      expect(readFileSync(`${scratch.path}/elsewhere/file`)).toEqual(readFileSync(`${source}/file`))
      expect(lgetxattr(`${scratch.path}/elsewhere/file`, 'user.note')?.toString()).toBe('x')
    } finally {
      execFileSync('umount', [mount])
    }
  })
}

test('symlinks in the target lead nowhere, and every descriptor is closed', async () => {
  await using scratch = await temporaryDirectory()
  const [source, target, outside] = ['source', 'target', 'outside'].map((name) => `${scratch.path}/${name}`)
  if (source === undefined || target === undefined || outside === undefined) throw new Error('unreachable')
  mkdirSync(`${source}/d`, { recursive: true })
  writeFileSync(`${source}/d/file`, 'x')
  for (const directory of [target, outside]) mkdirSync(directory)
  symlinkSync(outside, `${target}/d`)
  const before = readdirSync('/proc/self/fd').length
  expect(() => copyTree(source, target, { mode: 'content' }, never)).toThrow(
    expect.objectContaining({ code: 'ENOTDIR', path: `${source}/d` }),
  )
  expect(readdirSync(outside)).toEqual([])
  expect(readdirSync('/proc/self/fd')).toHaveLength(before)
})
