/** What the kernel says of pools, recorded from Linux 7.2 with thin-pool 1.24. */
import { describe, expect, test } from 'vitest'
import {
  blockSectorsOf,
  newPoolTarget,
  parsePoolStatus,
  parsePoolTable,
  thinTarget,
} from '../src/thin-pool.ts'

function pool(params: string, type = 'thin-pool') {
  return [{ start: 0, length: 131_072, type, params }]
}

describe('the status of a pool', () => {
  test.each([
    [
      'fresh',
      '0 418/4096 0/1024 - rw discard_passdown error_if_no_space - 1024 ',
      {
        transaction: 0,
        metadata: { used: 418, total: 4096 },
        data: { used: 0, total: 1024 },
        mode: 'read-write',
        needsCheck: false,
      },
    ],
    [
      'full',
      '1 424/4096 1024/1024 - out_of_data_space discard_passdown error_if_no_space - 1024 ',
      {
        transaction: 1,
        metadata: { used: 424, total: 4096 },
        data: { used: 1024, total: 1024 },
        mode: 'out-of-data-space',
        needsCheck: false,
      },
    ],
    [
      'read-only and to be checked',
      '7 512/512 30/1024 - ro discard_passdown queue_if_no_space needs_check 1024 ',
      {
        transaction: 7,
        metadata: { used: 512, total: 512 },
        data: { used: 30, total: 1024 },
        mode: 'read-only',
        needsCheck: true,
      },
    ],
  ])('%s', (_, params, expected) => {
    expect(parsePoolStatus('p', pool(params))).toEqual(expected)
  })

  test.each(['Error', 'Fail'])('%s is a pool that has failed', (params) => {
    expect(parsePoolStatus('p', pool(params)).mode).toBe('failed')
  })

  test.each([[pool('7:0 0', 'linear')], [[]], [[...pool('Fail'), ...pool('Fail')]]])(
    'of another device is refused',
    (targets) => {
      expect(() => parsePoolStatus('p', targets)).toThrow(
        expect.objectContaining({ code: 'GD_POOL_UNUSABLE', details: { pool: 'p', reason: 'not-a-pool' } }),
      )
    },
  )
})

test('the table of a pool', () => {
  const params = '7:0 7:1 128 32768 2 skip_block_zeroing error_if_no_space '
  expect(parsePoolTable('p', pool(params))).toEqual({
    length: 131_072,
    metadataDevice: '7:0',
    dataDevice: '7:1',
    blockSectors: 128,
  })
})

test('tables are Docker’s, but that a full pool fails at once', () => {
  expect(newPoolTarget(2048, '/dev/loop0', '/dev/loop1', 128)).toEqual({
    start: 0,
    length: 2048,
    type: 'thin-pool',
    params: '/dev/loop0 /dev/loop1 128 32768 2 skip_block_zeroing error_if_no_space',
  })
  expect(thinTarget(10 * 1024 ** 3, '254:0', 7)).toEqual({
    start: 0,
    length: 20_971_520,
    type: 'thin',
    params: '254:0 7',
  })
})

describe('the start of a pool’s metadata', () => {
  const superblock = Buffer.alloc(4096)
  superblock.writeBigUInt64LE(27_022_010n, 32)
  superblock.writeUInt32LE(1024, 336)

  test('tells the size of its blocks', () => {
    expect(blockSectorsOf('/dev/x', superblock)).toBe(1024)
  })

  test('is nothing where there was no pool yet', () => {
    expect(blockSectorsOf('/dev/x', Buffer.alloc(4096))).toBe(0)
  })

  test.each([Buffer.alloc(4096, 'x'), Buffer.from('short')])('is somebody else’s', (head) => {
    expect(() => blockSectorsOf('/dev/x', head)).toThrow(
      expect.objectContaining({ code: 'GD_POOL_UNUSABLE' }),
    )
  })
})
