import { symlinkSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import {
  AT_FDCWD,
  fgetxattr,
  flistxattr,
  fremovexattr,
  fsetxattr,
  lgetxattr,
  listxattrat,
  llistxattr,
  lremovexattr,
  lsetxattr,
  mount,
  O,
  openat,
  XATTR,
} from '../src/index.ts'
import { descriptor, isRoot, scratch, thrown } from './scratch.ts'

it.skipIf(!isRoot)('attributes are set, read, listed and removed by path (needs root)', () => {
  using directory = scratch()
  const file = directory.at('file')
  writeFileSync(file, '')
  const value = Buffer.from([0, 1, 0xff, 0])
  expect(lgetxattr(file, 'trusted.a')).toBeUndefined()
  expect(llistxattr(file)).toEqual([])
  lsetxattr(file, 'trusted.a', value)
  lsetxattr(file, 'user.empty', Buffer.alloc(0))
  expect(lgetxattr(file, 'trusted.a')).toEqual(value)
  expect(lgetxattr(file, 'user.empty')).toEqual(Buffer.alloc(0))
  expect(llistxattr(file).sort()).toEqual(['trusted.a', 'user.empty'])
  lremovexattr(file, 'trusted.a')
  expect(lgetxattr(file, 'trusted.a')).toBeUndefined()
  expect(thrown(() => lremovexattr(file, 'trusted.a'))).toMatchObject({ code: 'ENODATA', path: file })
})

it.skipIf(!isRoot)('attributes are set, read, listed and removed by descriptor (needs root)', () => {
  using directory = scratch()
  writeFileSync(directory.at('file'), '')
  using file = descriptor(openat(AT_FDCWD, directory.at('file'), O.RDWR))
  fsetxattr(file.fd, 'trusted.b', Buffer.from('B'))
  expect(fgetxattr(file.fd, 'trusted.b')?.toString()).toBe('B')
  expect(flistxattr(file.fd)).toEqual(['trusted.b'])
  fremovexattr(file.fd, 'trusted.b')
  expect(fgetxattr(file.fd, 'trusted.b')).toBeUndefined()
  expect(flistxattr(file.fd)).toEqual([])
})

it.skipIf(!isRoot)('the flags say whether an attribute may, or must, be there (needs root)', () => {
  using directory = scratch()
  writeFileSync(directory.at('file'), '')
  const set = (flags: number) => () => lsetxattr(directory.at('file'), 'trusted.a', Buffer.from('1'), flags)
  expect(thrown(set(XATTR.REPLACE))).toMatchObject({ code: 'ENODATA' })
  set(XATTR.CREATE)()
  expect(thrown(set(XATTR.CREATE))).toMatchObject({ code: 'EEXIST' })
})

it.skipIf(!isRoot)('a link has attributes of its own (needs root)', () => {
  using directory = scratch()
  writeFileSync(directory.at('file'), '')
  symlinkSync('file', directory.at('link'))
  lsetxattr(directory.at('link'), 'trusted.a', Buffer.from('link'))
  expect(lgetxattr(directory.at('file'), 'trusted.a')).toBeUndefined()
  expect(lgetxattr(Buffer.from(directory.at('link')), 'trusted.a')?.toString()).toBe('link')
})

it.skipIf(!isRoot)('values and lists of any size are read whole (needs root)', () => {
  using directory = scratch()
  mount({ source: 'tmpfs', target: directory.path, type: 'tmpfs' })
  const file = directory.at('file')
  writeFileSync(file, '')
  for (const size of [1023, 1024, 1025, 60_000, 65_536]) {
    const value = Buffer.alloc(size, 'v')
    lsetxattr(file, 'trusted.big', value)
    expect(lgetxattr(file, 'trusted.big')?.equals(value)).toBe(true)
  }
  expect(thrown(() => lsetxattr(file, 'trusted.big', Buffer.alloc(65_537)))).toMatchObject({ code: 'E2BIG' })
  for (let i = 0; i < 100; i++) lsetxattr(file, `trusted.${'n'.repeat(60)}${i}`, Buffer.from(String(i)))
  expect(llistxattr(file).length).toBe(101)
})

it('a filesystem without attributes says ENOTSUP, a missing file ENOENT', () => {
  expect(thrown(() => lsetxattr('/proc/self/status', 'user.a', Buffer.from('x')))).toMatchObject({
    syscall: 'lsetxattr',
    code: expect.stringMatching(/^(ENOTSUP|EPERM|EACCES)$/),
  })
  expect(thrown(() => lgetxattr('/nowhere', 'user.a'))).toMatchObject({ code: 'ENOENT', path: '/nowhere' })
  expect(thrown(() => lgetxattr('/', 'user.a\0b'))).toMatchObject({ code: 'EINVAL' })
})

it.skipIf(!isRoot)(
  'attributes are listed by a name in an open directory, of a link itself (needs root)',
  () => {
    using directory = scratch()
    writeFileSync(directory.at('file'), '')
    symlinkSync('file', directory.at('link'))
    lsetxattr(directory.at('file'), 'trusted.a', Buffer.from('A'))
    using open = descriptor(openat(AT_FDCWD, directory.at('.'), O.RDONLY | O.DIRECTORY))
    expect(listxattrat(open.fd, 'file')).toEqual(['trusted.a'])
    expect(listxattrat(open.fd, Buffer.from('link'))).toEqual([])
    expect(thrown(() => listxattrat(open.fd, 'nothing'))).toMatchObject({ code: 'ENOENT' })
  },
)
