import {
  fstatSync,
  mkdirSync,
  readFileSync,
  readSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { expect, it } from 'vitest'
import { AT_FDCWD, O, openat, openat2, RESOLVE } from '../src/index.ts'
import { descriptor, openDirectory, scratch, thrown } from './scratch.ts'

it('RESOLVE.IN_ROOT keeps an absolute link inside the directory', () => {
  using directory = scratch()
  mkdirSync(directory.at('root/etc'), { recursive: true })
  writeFileSync(directory.at('root/etc/passwd'), 'inside')
  symlinkSync('/etc', directory.at('root/link'))
  symlinkSync('../../../../etc/passwd', directory.at('root/up'))
  using root = openDirectory(directory.at('root'))
  for (const name of ['link/passwd', 'up', '../../etc/passwd', '/etc/passwd']) {
    using file = descriptor(openat2(root.fd, name, { flags: O.RDONLY, resolve: RESOLVE.IN_ROOT }))
    expect(readFileSync(file.fd, 'utf8')).toBe('inside')
  }
})

it('RESOLVE.BENEATH refuses what leads out', () => {
  using directory = scratch()
  symlinkSync('/etc', directory.at('link'))
  using root = openDirectory(directory.path)
  const open = (path: string) => () => openat2(root.fd, path, { flags: O.RDONLY, resolve: RESOLVE.BENEATH })
  expect(thrown(open('link/passwd'))).toMatchObject({
    code: 'EXDEV',
    syscall: 'openat2',
    path: 'link/passwd',
  })
  expect(thrown(open('..'))).toMatchObject({ code: 'EXDEV' })
})

it('RESOLVE.NO_SYMLINKS refuses links', () => {
  using directory = scratch()
  symlinkSync('.', directory.at('link'))
  using root = openDirectory(directory.path)
  const how = { flags: O.PATH, resolve: RESOLVE.NO_SYMLINKS }
  expect(thrown(() => openat2(root.fd, 'link', how))).toMatchObject({ code: 'ELOOP' })
})

it('a file is created with the mode, less the umask', () => {
  using directory = scratch()
  using root = openDirectory(directory.path)
  const before = process.umask(0o022)
  try {
    const flags = O.CREAT | O.WRONLY | O.EXCL
    using a = descriptor(openat(root.fd, 'a', flags, 0o777))
    using b = descriptor(openat2(root.fd, 'b', { flags, mode: 0o640 }))
    using c = descriptor(openat2(root.fd, 'c', { flags }))
    expect(fstatSync(a.fd).mode & 0o777).toBe(0o755)
    expect(fstatSync(b.fd).mode & 0o777).toBe(0o640)
    expect(fstatSync(c.fd).mode & 0o777).toBe(0o644)
    expect(thrown(() => openat(root.fd, 'a', flags))).toMatchObject({ code: 'EEXIST', path: 'a' })
  } finally {
    process.umask(before)
  }
})

it('descriptors are closed on exec, whether asked for or not', () => {
  using a = descriptor(openat(AT_FDCWD, '/', O.RDONLY))
  using b = descriptor(openat2(AT_FDCWD, '/', { flags: O.RDONLY }))
  for (const { fd } of [a, b]) {
    const flags = /^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1]
    expect(Number.parseInt(flags ?? '', 8) & O.CLOEXEC).toBe(O.CLOEXEC)
  }
})

it('names that are not UTF-8 are opened by their bytes', () => {
  using directory = scratch()
  using root = openDirectory(directory.path)
  const name = Buffer.from([0x66, 0xff, 0xfe, 0x6f])
  using file = descriptor(openat(root.fd, name, O.CREAT | O.RDWR))
  writeSync(file.fd, 'x')
  expect(statSync(Buffer.concat([Buffer.from(`${directory.path}/`), name])).size).toBe(1)
})

it('O.TMPFILE makes a file without a name', () => {
  using directory = scratch()
  using file = descriptor(openat(AT_FDCWD, directory.path, O.TMPFILE | O.RDWR, 0o600))
  writeSync(file.fd, 'hidden')
  expect(readSync(file.fd, Buffer.alloc(8), 0, 8, 0)).toBe(6)
  expect(fstatSync(file.fd).nlink).toBe(0)
})
