import { expect, test } from 'vitest'
import overlay2 from '../src/index.ts'
import { checkStorageOptions } from '../src/options.ts'

test('Docker’s override_kernel_check is accepted', () => {
  expect(() => overlay2.parse({ override_kernel_check: 'true' })).not.toThrow()
})

test.each([
  [{ override_kernel_check: 'perhaps' }, 'override_kernel_check'],
  [{ size: '10G' }, 'size'],
  [{ nonsense: '1' }, 'nonsense'],
])('%o is refused, naming the option', (options, option) => {
  expect(() => overlay2.parse(options)).toThrow(
    expect.objectContaining({ code: 'GD_INVALID_OPTION', details: expect.objectContaining({ option }) }),
  )
})

test('a size is refused with the reason, for the driver and for a layer', () => {
  expect(() => overlay2.parse({ size: '10G' })).toThrow(/quota/)
  expect(() => checkStorageOptions('x', { size: '10G' })).toThrow(/layer x.*quota/)
})

test('a layer has no options of its own', () => {
  expect(() => checkStorageOptions('x', { nonsense: '1' })).toThrow(
    expect.objectContaining({ code: 'GD_INVALID_OPTION' }),
  )
  expect(() => checkStorageOptions('x', {})).not.toThrow()
  expect(() => checkStorageOptions('x', undefined)).not.toThrow()
})
