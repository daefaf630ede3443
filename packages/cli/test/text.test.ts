import { expect, test } from 'vitest'
import { chooseCases } from '../src/case-choice.ts'
import { formatBytes, formatMilliseconds, plural, shortDigest } from '../src/quantity.ts'
import { pairs, table } from '../src/table.ts'

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1.00 kB'],
  [999_499, '999 kB'],
  [999_500, '1.00 MB'],
  [12_345_678, '12.3 MB'],
  [123_456_789_012, '123 GB'],
])('%i bytes are %s', (bytes, shown) => {
  expect(formatBytes(bytes)).toBe(shown)
})

test('a digest is shown by its first twelve digits', () => {
  expect(shortDigest(`sha256:${'0123456789abcdef'.repeat(4)}`)).toBe('0123456789ab')
})

test.each([
  [0.0123456, '0.012'],
  [12.345, '12.3'],
  [1234.5, '1235'],
])('%f milliseconds are %s', (milliseconds, shown) => {
  expect(formatMilliseconds(milliseconds)).toBe(shown)
})

test.each<readonly [patterns: readonly string[], chosen: readonly string[]]>([
  [[], ['tree/a', 'tree/ab', 'tree-b/a', 'a']],
  [['tree'], ['tree/a', 'tree/ab']],
  [
    ['*/a', 'a'],
    ['tree/a', 'tree-b/a', 'a'],
  ],
  [['tree/*b'], ['tree/ab']],
])('patterns %j choose %j', (patterns, chosen) => {
  const cases = ['tree/a', 'tree/ab', 'tree-b/a', 'a'].map((id) => ({ id }))
  expect(chooseCases(cases, patterns).map(({ id }) => id)).toEqual(chosen)
})

test('a pattern has no other signs than the asterisk', () => {
  expect(() => chooseCases([{ id: 'tree/a' }], ['tree/.'])).toThrow("no case is called 'tree/.'")
})

test('one of a kind, and more', () => {
  expect([plural(1, 'layer'), plural(2, 'layer')]).toEqual(['1 layer', '2 layers'])
})

test('tables have aligned columns and no blanks at line ends', () => {
  expect(
    table(
      ['A', 'BB'],
      [
        ['long', ''],
        ['x', 'y'],
      ],
    ),
  ).toBe('A     BB\nlong\nx     y\n')
  expect(
    pairs([
      ['a', '1'],
      ['long', ''],
    ]),
  ).toBe('a:    1\nlong:\n')
})
