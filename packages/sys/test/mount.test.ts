import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  close,
  FILESYSTEM_MAGIC,
  filesystemName,
  fsconfigCreate,
  fsconfigFlag,
  fsconfigReconfigure,
  fsconfigString,
  fsmount,
  fsopen,
  fspick,
  getpagesize,
  isMountPoint,
  MNT,
  mount,
  MOUNT_ATTR,
  mountFilesystem,
  mountSetattr,
  moveMount,
  moveMountAt,
  MOVE_MOUNT,
  MS,
  O,
  OPEN_TREE,
  openat,
  openTree,
  readMountTable,
  statfs,
  syncfs,
  umount,
  unmountTree,
} from '../src/index.ts'
import { descriptor, isRoot, openDirectory, scratch, thrown, type Scratch } from './scratch.ts'

function tmpfsAt(target: string): void {
  mkdirSync(target, { recursive: true })
  mount({ source: 'tmpfs', target, type: 'tmpfs' })
}

function targetsBelow(directory: Scratch): readonly string[] {
  return readMountTable()
    .map((entry) => entry.target)
    .filter((target) => target.startsWith(directory.path))
}

it.skipIf(!isRoot)('a filesystem is mounted, changed and unmounted (needs root)', () => {
  using directory = scratch()
  const target = directory.at('a b')
  expect(isMountPoint(target)).toBe(false)
  mkdirSync(target)
  expect(isMountPoint(target)).toBe(false)
  mount({ source: 'here', target, type: 'tmpfs', flags: MS.NODEV, data: 'size=1m' })
  expect(isMountPoint(target)).toBe(true)
  expect(readMountTable().find((entry) => entry.target === target)).toMatchObject({
    type: 'tmpfs',
    source: 'here',
  })
  mount({ source: 'here', target, flags: MS.REMOUNT | MS.RDONLY })
  expect(thrown(() => writeFileSync(directory.at('a b/x'), ''))).toMatchObject({ code: 'EROFS' })
  umount(Buffer.from(target))
  expect(isMountPoint(target)).toBe(false)
  expect(thrown(() => umount(target))).toMatchObject({ code: 'EINVAL', path: target })
})

it.skipIf(!isRoot)('a bind mount of the same filesystem is a mount point (needs root)', () => {
  using directory = scratch()
  mkdirSync(directory.at('from'))
  writeFileSync(directory.at('file'), 'x')
  writeFileSync(directory.at('other'), 'y')
  mkdirSync(directory.at('to'))
  mount({ source: directory.at('from'), target: directory.at('to'), flags: MS.BIND })
  mount({ source: directory.at('file'), target: directory.at('other'), flags: MS.BIND })
  expect(isMountPoint(directory.at('to'))).toBe(true)
  expect(isMountPoint(directory.at('from'))).toBe(false)
  expect(readFileSync(directory.at('other'), 'utf8')).toBe('x')
  symlinkSync('to', directory.at('link'))
  expect(isMountPoint(directory.at('link'))).toBe(false)
})

it.skipIf(!isRoot)('unmountTree leaves nothing, in whatever order it was mounted (needs root)', () => {
  using directory = scratch()
  const top = directory.at('top')
  tmpfsAt(directory.at('elsewhere'))
  tmpfsAt(directory.at('elsewhere/inner'))
  tmpfsAt(top)
  tmpfsAt(top)
  tmpfsAt(directory.at('top/a'))
  tmpfsAt(directory.at('top/a/b'))
  tmpfsAt(directory.at('topmost'))
  mkdirSync(directory.at('top/a/moved'))
  mount({ source: directory.at('elsewhere'), target: directory.at('top/a/moved'), flags: MS.MOVE })
  tmpfsAt(directory.at('top/a'))
  using busy = openDirectory(directory.at('top/a'))
  symlinkSync(directory.path, directory.at('alias'))
  expect(busy.fd).toBeGreaterThan(0)
  unmountTree(`${directory.at('alias')}/top/`)
  expect(targetsBelow(directory)).toEqual([directory.at('topmost')])
  unmountTree(top)
  unmountTree(directory.at('none'))
})

it('options that the kernel would cut are refused', () => {
  const data = `lowerdir=${'x'.repeat(getpagesize())}`
  const call = () => mount({ source: 'overlay', target: '/nowhere', type: 'overlay', data })
  expect(thrown(call)).toMatchObject({ code: 'E2BIG', syscall: 'mount', path: '/nowhere' })
})

it.skipIf(!isRoot)('a filesystem is mounted step by step (needs root)', () => {
  using directory = scratch()
  using context = descriptor(fsopen('tmpfs'))
  fsconfigString(context.fd, 'size', '1m')
  fsconfigString(context.fd, 'source', 'stepwise')
  fsconfigCreate(context.fd)
  using mounted = descriptor(fsmount(context.fd, MOUNT_ATTR.NODEV | MOUNT_ATTR.NOEXEC))
  moveMount(mounted.fd, directory.path)
  expect(readMountTable().find((entry) => entry.target === directory.path)).toMatchObject({
    type: 'tmpfs',
    source: 'stepwise',
    options: expect.arrayContaining(['nodev', 'noexec']),
    superOptions: expect.arrayContaining(['size=1024k']),
  })
  using picked = descriptor(fspick(AT_FDCWD, directory.path))
  fsconfigFlag(picked.fd, 'ro')
  fsconfigReconfigure(picked.fd)
  expect(thrown(() => writeFileSync(directory.at('x'), ''))).toMatchObject({ code: 'EROFS' })
})

it.skipIf(!isRoot)('an error of fsconfig carries the words of the kernel (needs root)', () => {
  using context = descriptor(fsopen('tmpfs'))
  expect(thrown(() => fsconfigString(context.fd, 'size', 'enormous'))).toMatchObject({
    code: 'EINVAL',
    syscall: 'fsconfig',
    path: 'size',
    message: expect.stringMatching(/^EINVAL: .*tmpfs: Bad value for 'size'/),
  })
  expect(thrown(() => fsconfigFlag(context.fd, 'nonsense'))).toMatchObject({
    message: expect.stringContaining("Unknown parameter 'nonsense'"),
  })
})

it.skipIf(!isRoot)('overlay says what is wrong with its layers (needs root)', () => {
  using directory = scratch()
  for (const name of ['lower', 'upper', 'work', 'merged']) mkdirSync(directory.at(name))
  writeFileSync(directory.at('lower/file'), 'from below')
  const layers = (lower: string): readonly (readonly [string, string])[] => [
    ['lowerdir', lower],
    ['upperdir', directory.at('upper')],
    ['workdir', directory.at('work')],
  ]
  const failing = (options: readonly (readonly [string, string])[]) => () =>
    mountFilesystem('overlay', directory.at('merged'), options)
  expect(thrown(failing(layers(directory.at('none'))))).toMatchObject({
    code: 'ENOENT',
    syscall: 'fsconfig',
    path: 'lowerdir',
  })
  expect(thrown(failing(layers(directory.at('lower/file'))))).toMatchObject({
    syscall: 'fsconfig',
    message: expect.stringMatching(/, fsconfig 'lowerdir' \(overlay: .*not a directory/),
  })
  mountFilesystem('overlay', directory.at('merged'), layers(directory.at('lower')))
  expect(readFileSync(directory.at('merged/file'), 'utf8')).toBe('from below')
  expect(filesystemName(statfs(directory.at('merged')).type)).toBe('overlayfs')
})

it('a descriptor that is no filesystem context gives a plain error', () => {
  using file = openDirectory('/')
  expect(thrown(() => fsconfigFlag(file.fd, 'ro'))).toMatchObject({ syscall: 'fsconfig' })
  using directory = scratch()
  using empty = descriptor(openat(AT_FDCWD, directory.at('empty'), O.CREAT | O.RDWR))
  expect(thrown(() => fsconfigFlag(empty.fd, 'ro'))).toMatchObject({ syscall: 'fsconfig' })
})

it.skipIf(!isRoot)('an unknown filesystem is ENODEV (needs root)', () => {
  expect(thrown(() => fsopen('nonesuchfs'))).toMatchObject({
    code: 'ENODEV',
    syscall: 'fsopen',
    path: 'nonesuchfs',
  })
})

it.skipIf(!isRoot)('a copy of a mount is attached elsewhere, with attributes of its own (needs root)', () => {
  using directory = scratch()
  tmpfsAt(directory.at('from'))
  writeFileSync(directory.at('from/file'), 'x')
  mkdirSync(directory.at('to'))
  mkdirSync(directory.at('then'))
  using tree = descriptor(openTree(AT_FDCWD, directory.at('from'), OPEN_TREE.CLONE))
  mountSetattr(tree.fd, '', AT_EMPTY_PATH, { set: MOUNT_ATTR.RDONLY, propagation: MS.PRIVATE })
  moveMountAt(tree.fd, '', AT_FDCWD, directory.at('to'), MOVE_MOUNT.F_EMPTY_PATH)
  expect(readdirSync(directory.at('to'))).toEqual(['file'])
  expect(thrown(() => writeFileSync(directory.at('to/y'), ''))).toMatchObject({ code: 'EROFS' })
  writeFileSync(directory.at('from/z'), '')
  mountSetattr(AT_FDCWD, directory.at('to'), 0, { clear: MOUNT_ATTR.RDONLY })
  writeFileSync(directory.at('to/y'), '')
  moveMountAt(AT_FDCWD, directory.at('to'), AT_FDCWD, directory.at('then'), 0)
  expect(isMountPoint(directory.at('to'))).toBe(false)
  umount(directory.at('then'), MNT.DETACH)
  expect(targetsBelow(directory)).toEqual([directory.at('from')])
})

it.skipIf(!isRoot)('statfs tells the kind and room of a filesystem (needs root)', () => {
  using directory = scratch()
  mount({ source: 'tmpfs', target: directory.path, type: 'tmpfs', data: 'size=4m,nr_inodes=100' })
  const found = statfs(directory.path)
  expect(found).toMatchObject({ type: FILESYSTEM_MAGIC.tmpfs, files: 100n })
  expect(Number(found.blocks) * found.blockSize).toBe(4 * 1024 * 1024)
  using root = openDirectory(directory.path)
  syncfs(root.fd)
})

it('filesystems have the names that Docker gives them', () => {
  expect(filesystemName(0xef53)).toBe('extfs')
  expect(filesystemName(0x9123683e)).toBe('btrfs')
  expect(filesystemName(0x794c7630)).toBe('overlayfs')
  expect(filesystemName(0x12345678)).toBe('<unknown>')
  const numbers = Object.values(FILESYSTEM_MAGIC)
  expect(new Set(numbers).size).toBe(numbers.length)
})

it('closing twice is an error', () => {
  const fd = openat(AT_FDCWD, '/', O.RDONLY)
  close(fd)
  expect(thrown(() => close(fd))).toMatchObject({ code: 'EBADF' })
})
