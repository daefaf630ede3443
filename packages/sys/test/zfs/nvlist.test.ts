/** Lists of names and values, in the bytes that ZFS 2.4 takes and gives. */
import { describe, expect, test } from 'vitest'
import { decodeNvList, encodeNvList } from '../../src/zfs/nvlist.ts'

const head = '0001000000000000' + '01000000'

describe('a list', () => {
  test('without anything is its head and an end', () => {
    expect(encodeNvList({}).toString('hex')).toBe(`${head}00000000`)
  })

  test('has a pair with a name, a type and a value, to eight bytes', () => {
    const pair = [
      '20000000',
      '0500',
      '0000',
      '01000000',
      '05000000',
      Buffer.from('type\0\0\0\0').toString('hex'),
      '0200000000000000',
    ]
    expect(encodeNvList({ type: 2 }).toString('hex')).toBe(`${head}${pair.join('')}00000000`)
  })

  test('tells a boolean value from a name alone', () => {
    const encoded = encodeNvList({ force: false })
    expect([encoded.readInt32LE(12 + 8), encoded.readInt32LE(12 + 12)]).toEqual([1, 21])
    expect(decodeNvList(encoded)).toEqual({ force: 0 })
  })

  test('in a list comes after its pair, without a head of its own', () => {
    const encoded = encodeNvList({ props: { quota: 10n } })
    // Head, the outer pair with 24 bytes for nothing, the inner one, and two ends.
    expect(encoded.length).toBe(12 + (24 + 24) + (24 + 8) + 4 + 4)
    expect(encoded.readInt32LE(12)).toBe(48)
    expect(encoded.readInt32LE(12 + 48)).toBe(32)
  })

  test('comes back as it went', () => {
    const list = {
      'lab/a@graphdriver-0123456789abcdef': true,
      type: 2,
      negative: -1,
      quota: 2n ** 63n,
      mountpoint: 'legacy',
      'ä ö': 'ü',
      empty: '',
      props: { nested: { deeper: { name: 'value' } }, after: 1n },
      last: 'one',
    } as const
    expect(decodeNvList(encodeNvList(list))).toEqual(list)
  })

  test('says of a type that is not known which it is', () => {
    const encoded = encodeNvList({ times: 1n })
    encoded.writeInt32LE(16, 12 + 12)
    expect(decodeNvList(encoded)).toEqual({ times: { type: 16 } })
  })
})

test.each([
  ['in another encoding', Buffer.from('010100000000000001000000', 'hex')],
  ['that ends early', encodeNvList({ a: 'b' }).subarray(0, 40)],
  ['with a pair that is too short', Buffer.from(`${head}0400000000000000`, 'hex')],
  ['of nothing', Buffer.alloc(0)],
])('a list %s is refused', (_, bytes) => {
  expect(() => decodeNvList(bytes)).toThrow(RangeError)
})
