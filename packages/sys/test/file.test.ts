import { ftruncateSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { expect, it } from 'vitest'
import {
  AT_FDCWD,
  copyFileRange,
  fallocatePunchHole,
  flock,
  ioctl,
  lseekData,
  lseekHole,
  O,
  openat,
} from '../src/index.ts'
import { descriptor, type Descriptor, scratch, thrown } from './scratch.ts'

function create(path: string): Descriptor {
  return descriptor(openat(AT_FDCWD, path, O.CREAT | O.RDWR))
}

const MIB = 1024 * 1024

it('a lock is held by several or by one', () => {
  using directory = scratch()
  using a = create(directory.at('lock'))
  using b = create(directory.at('lock'))
  const nonblocking = true
  expect(flock(a.fd, 'shared')).toBe(true)
  expect(flock(b.fd, 'shared', { nonblocking })).toBe(true)
  expect(flock(b.fd, 'exclusive', { nonblocking })).toBe(false)
  expect(flock(a.fd, 'unlock')).toBe(true)
  expect(flock(b.fd, 'exclusive', { nonblocking })).toBe(true)
  expect(flock(a.fd, 'shared', { nonblocking })).toBe(false)
  expect(thrown(() => flock(9999, 'shared'))).toMatchObject({ code: 'EBADF', syscall: 'flock' })
})

it('the holes of a file are found, and made', () => {
  using directory = scratch()
  using file = create(directory.at('sparse'))
  ftruncateSync(file.fd, 8 * MIB)
  expect(lseekData(file.fd, 0)).toBeUndefined()
  writeSync(file.fd, Buffer.alloc(MIB, 'x'), 0, MIB, 2 * MIB)
  expect(lseekData(file.fd, 0)).toBe(2 * MIB)
  expect(lseekHole(file.fd, 2 * MIB)).toBe(3 * MIB)
  expect(lseekData(file.fd, 3 * MIB)).toBeUndefined()
  expect(lseekHole(file.fd, 8 * MIB)).toBeUndefined()
  fallocatePunchHole(file.fd, 2 * MIB, MIB)
  expect(lseekData(file.fd, 0)).toBeUndefined()
  expect(statSync(directory.at('sparse')).size).toBe(8 * MIB)
})

it('ranges are copied inside the kernel, at the position or at offsets', () => {
  using directory = scratch()
  writeFileSync(directory.at('from'), '0123456789')
  using from = descriptor(openat(AT_FDCWD, directory.at('from'), O.RDONLY))
  using to = create(directory.at('to'))
  expect(copyFileRange(from.fd, to.fd, 4)).toBe(4)
  expect(copyFileRange(from.fd, to.fd, 100)).toBe(6)
  expect(copyFileRange(from.fd, to.fd, 100)).toBe(0)
  expect(copyFileRange(from.fd, to.fd, 2, 8, 0)).toBe(2)
  expect(readFileSync(directory.at('to'), 'utf8')).toBe('8923456789')
})

it('a request is answered into a Buffer, or refused', () => {
  const FIONREAD = 0x541b
  using directory = scratch()
  using file = create(directory.at('file'))
  ftruncateSync(file.fd, 5)
  const left = Buffer.alloc(4)
  expect(ioctl(file.fd, FIONREAD, left)).toBe(0)
  expect(left.readInt32LE()).toBe(5)
  expect(thrown(() => ioctl(file.fd, 0x4c82, 0))).toMatchObject({ code: 'ENOTTY', syscall: 'ioctl' })
  expect(thrown(() => ioctl(file.fd, 0x4c82, -1n))).toMatchObject({ code: 'ENOTTY' })
})
