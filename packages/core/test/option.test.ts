import { expect, it } from 'vitest'
import { parseBoolean, parseKeyValue, parseSize, rejectUnknownOptions } from '../src/index.ts'

it.each([
  ['0', 0],
  ['32', 32],
  ['32b', 32],
  ['10k', 10_240],
  ['10KB', 10_240],
  ['10 KiB', 10_240],
  ['1.5G', 1_610_612_736],
  ['2t', 2 * 1024 ** 4],
])('reads the size %j as %i bytes', (text, bytes) => {
  expect(parseSize('size', text)).toBe(bytes)
})

it.each(['', '-1', '10x', 'G', '1  G', '9999999999P'])('refuses the size %j, naming the option', (text) => {
  expect(() => parseSize('overlay2.size', text)).toThrow(
    expect.objectContaining({ code: 'GD_INVALID_OPTION', details: { option: 'overlay2.size', value: text } }),
  )
})

it('knows what Docker calls true and false', () => {
  expect(['1', 't', 'T', 'TRUE', 'true', 'True'].map((text) => parseBoolean('x', text))).not.toContain(false)
  expect(['0', 'f', 'F', 'FALSE', 'false', 'False'].map((text) => parseBoolean('x', text))).not.toContain(
    true,
  )
  expect(() => parseBoolean('x', 'yes')).toThrow(expect.objectContaining({ code: 'GD_INVALID_OPTION' }))
})

it('splits key and value at the first equals sign', () => {
  expect(parseKeyValue('size = 10G')).toEqual(['size', '10G'])
  expect(parseKeyValue('label=a=b')).toEqual(['label', 'a=b'])
  expect(() => parseKeyValue('=x')).toThrow(expect.objectContaining({ code: 'GD_INVALID_OPTION' }))
})

it('names the driver, the option and the choice', () => {
  expect(() => rejectUnknownOptions('vfs', { sise: '1' }, ['size'])).toThrow(
    "vfs: unknown option 'sise'; it knows size",
  )
})
