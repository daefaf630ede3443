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

test.each(['all', 'overlay2, gd-no-such'])(
  'GRAPHDRIVER_REQUIRE=%s makes what is missing a failure',
  (list) => {
    process.env['GRAPHDRIVER_REQUIRE'] = list
    try {
      expect(() => need({ command: 'gd-no-such' })).toThrow(/GRAPHDRIVER_REQUIRE asks for gd-no-such/)
      expect(need({ command: 'sh' })).toBeUndefined()
    } finally {
      delete process.env['GRAPHDRIVER_REQUIRE']
    }
  },
)

test('what GRAPHDRIVER_REQUIRE does not name may be missing', () => {
  process.env['GRAPHDRIVER_REQUIRE'] = 'overlay2'
  try {
    expect(need({ kernelFilesystem: 'gd-fs' })).toBe('needs gd-fs in the kernel')
  } finally {
    delete process.env['GRAPHDRIVER_REQUIRE']
  }
})
