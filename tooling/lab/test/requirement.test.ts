import { expect, test } from 'vitest'
import { need } from '../src/index.ts'

test('what is there is not missed', () => {
  expect(need({ command: 'sh', kernelFilesystem: 'proc' }, {})).toBeUndefined()
})

test('a missing program is named with its Debian package', () => {
  expect(need({ command: 'gd-no-such', package: 'nothing' })).toBe(
    'needs gd-no-such (Debian package nothing)',
  )
  expect(need({ command: 'sh' }, { command: 'gd-no-such' })).toBe(
    'needs gd-no-such (Debian package gd-no-such)',
  )
})

test('a missing program of a listed package is named with that', () => {
  const path = process.env['PATH']
  process.env['PATH'] = '/nowhere'
  try {
    expect(need({ command: 'docker' })).toBe('needs docker (Debian package docker.io)')
  } finally {
    process.env['PATH'] = path
  }
})

test('a missing kernel filesystem is named', () => {
  expect(need({ kernelFilesystem: 'gd-fs' })).toBe('needs gd-fs in the kernel')
})
