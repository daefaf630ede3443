import { GraphDriverError, isGraphDriverError } from '@graphdriver/core'
import { isSystemError, SystemError } from '@graphdriver/sys'
import { describe, expect, it } from 'vitest'
import { describeFailure, reviveFailure } from '../src/worker/failure.ts'
import { RingAborted } from '../src/worker/ring.ts'

const across = (error: unknown): Error => reviveFailure(structuredClone(describeFailure(error)))

describe('errors between threads', () => {
  it('keep code, details, message, stack and cause', () => {
    const cause = new SystemError(28, { syscall: 'write', path: '/x' })
    const details = { entry: 'x', reason: 'full' }
    const sent = new GraphDriverError('GD_ARCHIVE_UNSUPPORTED', 'no room', details, { cause })
    const found = across(sent)
    expect(isGraphDriverError(found, 'GD_ARCHIVE_UNSUPPORTED')).toBe(true)
    expect(found).toMatchObject({ message: 'no room', details, stack: sent.stack })
    expect(found.cause).toMatchObject({ code: 'ENOSPC', errno: -28, syscall: 'write', path: '/x' })
  })

  it('keep the shape of system errors, of ours and of Node', () => {
    const ours = new SystemError(2, { syscall: 'linkat', path: '/a', dest: '/b', note: 'a note' })
    expect(across(ours)).toMatchObject({ code: 'ENOENT', path: '/a', dest: '/b', message: ours.message })
    const nodes = Object.assign(new Error('EIO: i/o error, write'), {
      code: 'EIO',
      errno: -5,
      syscall: 'write',
    })
    const found = across(nodes)
    expect(isSystemError(found, 'EIO')).toBe(true)
    expect(found).toMatchObject({ errno: -5, syscall: 'write', message: 'EIO: i/o error, write' })
  })

  it('keep an abort an abort, and anything else readable', () => {
    expect(across(new RingAborted('stop'))).toBeInstanceOf(RingAborted)
    expect(across(new RangeError('too far'))).toMatchObject({ name: 'RangeError', message: 'too far' })
    expect(across('thrown text')).toMatchObject({ message: 'thrown text' })
  })
})
