import { expect, test } from 'vitest'
import vfs from '../src/index.ts'
import { checkStorageOptions } from '../src/options.ts'

test('there is nothing to choose', () => {
  expect(vfs.parse({})).toEqual({})
  expect(() => vfs.parse({ nonsense: '1' })).toThrow(
    expect.objectContaining({ code: 'GD_INVALID_OPTION', details: { option: 'nonsense', value: '1' } }),
  )
})

test('a size is refused with the reason, for the driver and for a layer', () => {
  expect(() => vfs.parse({ size: '10G' })).toThrow(/quota/)
  expect(() => checkStorageOptions('x', { size: '10G' })).toThrow(/layer x.*quota/)
  expect(() => checkStorageOptions('x', { nonsense: '1' })).toThrow(/layer x/)
  expect(() => checkStorageOptions('x', {})).not.toThrow()
})
