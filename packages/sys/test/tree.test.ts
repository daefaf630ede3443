import {
  ftruncateSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { expect, it } from 'vitest'
import {
  AT_FDCWD,
  AT_REMOVEDIR,
  AT_SYMLINK_FOLLOW,
  AT_SYMLINK_NOFOLLOW,
  DT,
  fchmod,
  fchmodat,
  fchown,
  fchownat,
  futimens,
  fsyncDirectory,
  linkat,
  lstatx,
  major,
  makedev,
  minor,
  mkdirat,
  mknodat,
  O,
  openat,
  readDirectory,
  readlinkat,
  RENAME,
  renameat2,
  S,
  statx,
  symlinkat,
  unlinkat,
  utimensat,
} from '../src/index.ts'
import { descriptor, isRoot, openDirectory, scratch, thrown } from './scratch.ts'

it('names are made, linked, renamed and removed below a directory', () => {
  using directory = scratch()
  using root = openDirectory(directory.path)
  mkdirat(root.fd, 'd', 0o700)
  expect(statSync(directory.at('d')).mode).toBe(S.IFDIR | 0o700)
  writeFileSync(directory.at('d/file'), 'x')
  linkat(root.fd, 'd/file', root.fd, 'hard', 0)
  expect(statSync(directory.at('hard')).nlink).toBe(2)
  renameat2(root.fd, 'hard', root.fd, 'moved', RENAME.NOREPLACE)
  expect(thrown(() => renameat2(root.fd, 'moved', root.fd, 'd', RENAME.NOREPLACE))).toMatchObject({
    code: 'EEXIST',
    path: 'moved',
    dest: 'd',
  })
  unlinkat(root.fd, 'moved', 0)
  expect(thrown(() => unlinkat(root.fd, 'd', 0))).toMatchObject({ code: 'EISDIR' })
  expect(thrown(() => unlinkat(root.fd, 'd', AT_REMOVEDIR))).toMatchObject({ code: 'ENOTEMPTY' })
  unlinkat(root.fd, 'd/file', 0)
  unlinkat(root.fd, 'd', AT_REMOVEDIR)
  expect(readdirSync(directory.path)).toEqual([])
})

it('RENAME.EXCHANGE swaps two names', () => {
  using directory = scratch()
  writeFileSync(directory.at('a'), 'A')
  mkdirSync(directory.at('b'))
  renameat2(AT_FDCWD, directory.at('a'), AT_FDCWD, directory.at('b'), RENAME.EXCHANGE)
  expect(readFileSync(directory.at('b'), 'utf8')).toBe('A')
  expect(statSync(directory.at('a')).isDirectory()).toBe(true)
})

it.skipIf(!isRoot)('RENAME.WHITEOUT leaves a 0/0 device (needs root)', () => {
  using directory = scratch()
  writeFileSync(directory.at('a'), 'A')
  renameat2(AT_FDCWD, directory.at('a'), AT_FDCWD, directory.at('b'), RENAME.WHITEOUT)
  expect(lstatx(directory.at('a'))).toMatchObject({ mode: S.IFCHR, rdevMajor: 0, rdevMinor: 0 })
})

it('a link holds its bytes as they are, up to the longest', () => {
  using directory = scratch()
  using root = openDirectory(directory.path)
  for (const target of [Buffer.from([0x2e, 0xff, 0x2f, 0xc3]), Buffer.alloc(4095, 'x'), Buffer.from('ünï')]) {
    symlinkat(target, root.fd, 'link')
    expect(readlinkat(root.fd, 'link')).toEqual(target)
    using link = descriptor(openat(root.fd, 'link', O.PATH | O.NOFOLLOW))
    expect(readlinkat(link.fd, '')).toEqual(target)
    unlinkat(root.fd, 'link', 0)
  }
  expect(thrown(() => symlinkat('x'.repeat(4096), root.fd, 'link'))).toMatchObject({ code: 'ENAMETOOLONG' })
})

it('linkat links a symbolic link, or with AT_SYMLINK_FOLLOW what it leads to', () => {
  using directory = scratch()
  using root = openDirectory(directory.path)
  writeFileSync(directory.at('file'), 'x')
  symlinkat('file', root.fd, 'link')
  linkat(root.fd, 'link', root.fd, 'a', 0)
  linkat(root.fd, 'link', root.fd, 'b', AT_SYMLINK_FOLLOW)
  expect(lstatSync(directory.at('a')).isSymbolicLink()).toBe(true)
  expect(lstatSync(directory.at('b')).isFile()).toBe(true)
})

it.skipIf(!isRoot)('devices keep all bits of their numbers (needs root)', () => {
  using directory = scratch()
  using root = openDirectory(directory.path)
  for (const [a, b] of [
    [0, 0],
    [1, 3],
    [254, 256],
    [4095, 0xfffff],
  ] as const) {
    mknodat(root.fd, 'device', S.IFBLK | 0o600, makedev(a, b))
    expect(lstatx(directory.at('device'))).toMatchObject({
      mode: S.IFBLK | 0o600,
      rdevMajor: a,
      rdevMinor: b,
    })
    expect(lstatSync(directory.at('device'), { bigint: true }).rdev).toBe(makedev(a, b))
    unlinkat(root.fd, 'device', 0)
  }
  mknodat(root.fd, 'fifo', S.IFIFO | 0o600, 0)
  expect(lstatSync(directory.at('fifo')).isFIFO()).toBe(true)
})

it('a device number that the call would cut is refused', () => {
  const call = () => mknodat(AT_FDCWD, '/nowhere', S.IFBLK, makedev(4096, 0))
  expect(thrown(call)).toMatchObject({ code: 'EINVAL', syscall: 'mknodat' })
})

it('a device number has two parts', () => {
  for (const [a, b] of [
    [0, 0],
    [8, 17],
    [4095, 0xfffff],
    [0xfffff000, 0xffffffff],
  ] as const) {
    expect([major(makedev(a, b)), minor(makedev(a, b))]).toEqual([a, b])
  }
  expect(makedev(8, 1)).toBe(0x801n)
  expect([major(0x801), minor(0x801)]).toEqual([8, 1])
})

it.skipIf(!isRoot)('owners are changed, -1 keeps one (needs root)', () => {
  using directory = scratch()
  writeFileSync(directory.at('file'), 'x')
  symlinkSync('file', directory.at('link'))
  using file = descriptor(openat(AT_FDCWD, directory.at('file'), O.RDWR))
  fchown(file.fd, 4_000_000_000, 12)
  expect(lstatx(directory.at('file'))).toMatchObject({ uid: 4_000_000_000, gid: 12 })
  fchown(file.fd, -1, 13)
  expect(lstatx(directory.at('file'))).toMatchObject({ uid: 4_000_000_000, gid: 13 })
  fchownat(AT_FDCWD, directory.at('link'), 5, 6, AT_SYMLINK_NOFOLLOW)
  expect(lstatx(directory.at('link'))).toMatchObject({ uid: 5, gid: 6 })
  expect(lstatx(directory.at('file'))).toMatchObject({ gid: 13 })
})

it('permissions are changed, special bits too', () => {
  using directory = scratch()
  writeFileSync(directory.at('file'), 'x')
  using file = descriptor(openat(AT_FDCWD, directory.at('file'), O.RDWR))
  fchmod(file.fd, 0o4751)
  expect(lstatx(directory.at('file')).mode).toBe(S.IFREG | 0o4751)
  fchmodat(AT_FDCWD, directory.at('file'), 0o600)
  expect(lstatx(directory.at('file')).mode).toBe(S.IFREG | 0o600)
})

it('times keep their nanoseconds, before 1970 too, and undefined keeps one', () => {
  using directory = scratch()
  writeFileSync(directory.at('file'), 'x')
  using file = descriptor(openat(AT_FDCWD, directory.at('file'), O.RDWR))
  futimens(file.fd, 1_700_000_000_123_456_789n, -1n)
  expect(lstatx(directory.at('file'))).toMatchObject({
    atimeSec: 1_700_000_000,
    atimeNsec: 123_456_789,
    mtimeSec: -1,
    mtimeNsec: 999_999_999,
  })
  futimens(file.fd, undefined, -1_000_000_000n)
  expect(lstatx(directory.at('file'))).toMatchObject({ atimeSec: 1_700_000_000, mtimeSec: -1, mtimeNsec: 0 })
  symlinkSync('file', directory.at('link'))
  utimensat(AT_FDCWD, directory.at('link'), 5n, 4_294_967_296_000_000_007n, AT_SYMLINK_NOFOLLOW)
  expect(lstatx(directory.at('link'))).toMatchObject({
    atimeSec: 0,
    atimeNsec: 5,
    mtimeSec: 4_294_967_296,
    mtimeNsec: 7,
  })
  expect(lstatx(directory.at('file')).mtimeSec).toBe(-1)
})

it('statx agrees with what Node says', () => {
  using directory = scratch()
  writeFileSync(directory.at('file'), 'x'.repeat(10_000))
  for (const path of [directory.path, directory.at('file'), '/dev/null', '/proc/self/exe']) {
    const ours = lstatx(path)
    const nodes = lstatSync(path, { bigint: true })
    expect(ours).toMatchObject({
      mode: Number(nodes.mode),
      nlink: Number(nodes.nlink),
      uid: Number(nodes.uid),
      gid: Number(nodes.gid),
      size: Number(nodes.size),
      blocks: Number(nodes.blocks),
      ino: nodes.ino,
    })
    expect(BigInt(ours.mtimeSec) * 1_000_000_000n + BigInt(ours.mtimeNsec)).toBe(nodes.mtimeNs)
    expect(BigInt(ours.ctimeSec) * 1_000_000_000n + BigInt(ours.ctimeNsec)).toBe(nodes.ctimeNs)
    expect(makedev(ours.rdevMajor, ours.rdevMinor)).toBe(nodes.rdev)
    expect(ours.dev).toBe(major(nodes.dev) * 2 ** 32 + minor(nodes.dev))
  }
  expect(statx(AT_FDCWD, '/proc/self/exe', 0).mode & S.IFMT).toBe(S.IFREG)
  expect(lstatx('/proc').mountRoot).toBe(true)
  expect(lstatx(directory.at('file')).mountRoot).toBe(false)
})

it('sizes beyond 4 GiB are whole', () => {
  using directory = scratch()
  writeFileSync(directory.at('file'), '')
  const size = 5 * 2 ** 32 + 7
  using file = descriptor(openat(AT_FDCWD, directory.at('file'), O.RDWR))
  ftruncateSync(file.fd, size)
  expect(lstatx(directory.at('file')).size).toBe(size)
})

it('a directory gives all its names, with types and inodes', () => {
  using directory = scratch()
  using root = openDirectory(directory.path)
  mkdirat(root.fd, 'directory', 0o755)
  symlinkat('x', root.fd, 'link')
  const odd = Buffer.from([0xff, 0x80])
  writeFileSync(Buffer.concat([Buffer.from(`${directory.path}/`), odd]), '')
  const names = [
    '.hidden',
    '..x',
    '...',
    'y'.repeat(255),
    ...Array.from({ length: 3000 }, (_, i) => `file ${i}`),
  ]
  for (let length = 1; length <= 16; length++) names.push('z'.repeat(length))
  for (const name of names) writeFileSync(directory.at(name), '')
  const entries = readDirectory(root.fd)
  expect(entries.length).toBe(names.length + 3)
  const byName = new Map(entries.map((entry) => [entry.name.toString('latin1'), entry]))
  expect([...byName.keys()].sort()).toEqual([...names, 'directory', 'link', odd.toString('latin1')].sort())
  expect(byName.get('directory')?.type).toBe(DT.DIR)
  expect(byName.get('link')?.type).toBe(DT.LNK)
  expect(byName.get('file 7')?.type).toBe(DT.REG)
  expect(byName.get('file 7')?.ino).toBe(lstatx(directory.at('file 7')).ino)
  using file = descriptor(openat(root.fd, 'file 7', O.RDONLY))
  expect(thrown(() => readDirectory(file.fd))).toMatchObject({ code: 'ENOTDIR', syscall: 'getdents64' })
})

it('a directory is made durable', () => {
  using directory = scratch()
  fsyncDirectory(directory.path)
  expect(thrown(() => fsyncDirectory(directory.at('none')))).toMatchObject({ code: 'ENOENT' })
})
