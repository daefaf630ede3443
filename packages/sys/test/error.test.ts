import { statSync } from 'node:fs'
import { expect, it } from 'vitest'
import {
  cstring,
  isSystemError,
  lstatx,
  SystemError,
  symlinkat,
  UnsupportedPlatformError,
} from '../src/index.ts'
import { thrown } from './scratch.ts'

it('a failed call has the shape and words of an error of Node', () => {
  const error = thrown(() => lstatx('/nowhere/at all'))
  expect(error).toBeInstanceOf(SystemError)
  expect(error).toMatchObject({
    code: 'ENOENT',
    errno: -2,
    syscall: 'statx',
    path: '/nowhere/at all',
    message: "ENOENT: no such file or directory, statx '/nowhere/at all'",
  })
})

it('a failed call on two names says both', () => {
  const error = thrown(() => symlinkat('target', -100, '/nowhere/link'))
  expect(error).toMatchObject({ path: 'target', dest: '/nowhere/link' })
  expect(String(error)).toContain("symlinkat 'target' -> '/nowhere/link'")
})

it('errors that Node has no name for are named', () => {
  expect(new SystemError(117, { syscall: 'mount' }).code).toBe('EUCLEAN')
  expect(new SystemError(116, { syscall: 'read' }).message).toBe('ESTALE: stale file handle, read')
  expect(new SystemError(61, { syscall: 'x' }).code).toBe('ENODATA')
  expect(new SystemError(999, { syscall: 'x' }).code).toBe('E999')
})

it('where Linux has two names for a number, it is the one of Node', () => {
  expect(new SystemError(11, { syscall: 'x' }).code).toBe('EAGAIN')
  expect(new SystemError(95, { syscall: 'x' }).code).toBe('ENOTSUP')
})

it('isSystemError knows our errors and those of Node, by code', () => {
  const ours = thrown(() => lstatx('/nowhere'))
  const nodes = thrown(() => statSync('/nowhere'))
  for (const error of [ours, nodes]) {
    expect(isSystemError(error)).toBe(true)
    expect(isSystemError(error, 'EPERM', 'ENOENT')).toBe(true)
    expect(isSystemError(error, 'EPERM')).toBe(false)
  }
  expect(isSystemError(new Error('ENOENT'))).toBe(false)
  expect(isSystemError({ code: 'ENOENT' }, 'ENOENT')).toBe(false)
  expect(isSystemError(new SystemError(95, { syscall: 'x' }), 'EOPNOTSUPP')).toBe(true)
})

it('an unsupported call is a system error with ENOSYS', () => {
  const error = new UnsupportedPlatformError('openat2')
  expect(error).toMatchObject({ code: 'ENOSYS', syscall: 'openat2', name: 'UnsupportedPlatformError' })
  expect(isSystemError(error, 'ENOSYS')).toBe(true)
})

it('a name with a NUL inside is refused, not cut', () => {
  expect(thrown(() => lstatx('/etc\0/nowhere'))).toMatchObject({
    code: 'EINVAL',
    path: String.raw`/etc\0/nowhere`,
  })
  expect(thrown(() => lstatx(Buffer.from('/etc\0/nowhere')))).toMatchObject({ code: 'EINVAL' })
})

it('bytes get a NUL at the end, once', () => {
  const once = cstring(Buffer.from('name'))
  expect(once).toEqual(Buffer.from('name\0'))
  expect(cstring(once)).toBe(once)
  expect(thrown(() => lstatx(cstring(Buffer.from('/nowhere'))))).toMatchObject({ path: '/nowhere' })
})
