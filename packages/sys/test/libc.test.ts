import { existsSync, mkdirSync, rmdirSync } from 'node:fs'
import { constants } from 'node:os'
import path from 'node:path'
import { expect, test } from 'vitest'
import { failure, libc } from '../src/libc.ts'
import { scratch } from './scratch.ts'

test('the error of a call is that call’s, whatever sets errno after it', () => {
  using place = scratch()
  const full = path.join(place.path, 'full')
  mkdirSync(path.join(full, 'in'), { recursive: true })
  expect(libc('unlinkat').unlinkat(-100, full, 0x200)).toBe(-1)
  // On this thread, and with an error of their own.
  expect(existsSync(path.join(place.path, 'none'))).toBe(false)
  expect(() => rmdirSync(path.join(place.path, 'none'))).toThrow(/ENOENT/)
  expect(failure('unlinkat', full)).toMatchObject({ errno: -constants.errno.ENOTEMPTY, code: 'ENOTEMPTY' })
})

test('each call that fails has its own', () => {
  const { unlinkat, lseek, errno } = libc('lseek')
  expect(lseek(-1, 0, 0)).toBe(-1)
  expect(errno()).toBe(constants.errno.EBADF)
  expect(unlinkat(-100, '/nonexistent', 0)).toBe(-1)
  expect(errno()).toBe(constants.errno.ENOENT)
})
