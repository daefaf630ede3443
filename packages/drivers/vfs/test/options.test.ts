import { expect, test } from 'vitest'
import vfs from '../src/index.ts'

test.each([
  [{ size: 'much' }, 'size'],
  [{ size: '0' }, 'size'],
  [{ inodes: '1k' }, 'inodes'],
  [{ quota: 'project' }, 'quota'],
  [{ nonsense: '1' }, 'nonsense'],
])('%o is refused, naming the option', (options, option) => {
  expect(() => vfs.parse(options)).toThrow(
    expect.objectContaining({ code: 'GD_INVALID_OPTION', details: expect.objectContaining({ option }) }),
  )
})

test('limits are read with their units', () => {
  expect(vfs.parse({ size: '10G', inodes: '1000', quota: 'loop' })).toEqual({
    byDefault: { size: 10 * 1024 ** 3, inodes: 1000 },
    means: 'loop',
  })
})
