import { expect, test } from 'vitest'
import overlay2 from '../src/index.ts'

test('Docker’s override_kernel_check is accepted', () => {
  expect(() => overlay2.parse({ override_kernel_check: 'true' })).not.toThrow()
})

test.each([
  [{ override_kernel_check: 'perhaps' }, 'override_kernel_check'],
  [{ size: 'much' }, 'size'],
  [{ size: '0' }, 'size'],
  [{ inodes: '1k' }, 'inodes'],
  [{ quota: 'project' }, 'quota'],
  [{ nonsense: '1' }, 'nonsense'],
])('%o is refused, naming the option', (options, option) => {
  expect(() => overlay2.parse(options)).toThrow(
    expect.objectContaining({ code: 'GD_INVALID_OPTION', details: expect.objectContaining({ option }) }),
  )
})

test('limits are read with their units', () => {
  expect(overlay2.parse({ size: '10G', inodes: '1000', quota: 'loop' })).toEqual({
    byDefault: { size: 10 * 1024 ** 3, inodes: 1000 },
    means: 'loop',
  })
})
