/** The records of quotactl(2), byte for byte as linux/dqblk_xfs.h has them; that the kernel agrees is seen in a guest. */
import { openSync } from 'node:fs'
import { expect, test } from 'vitest'
import { packLimits, projectState, unpackUsage } from '../../src/quota/limits.ts'
import { isSystemError } from '../../src/error.ts'

test('limits are in blocks of 512 bytes, hard and soft, and say which they are', () => {
  const record = packLimits(7, { bytes: 1025, inodes: 9 })
  expect(record.length).toBe(112)
  expect([record.readInt8(0), record.readInt8(1), record.readUInt16LE(2), record.readUInt32LE(4)]).toEqual([
    1,
    2,
    1 | 2 | 4 | 8,
    7,
  ])
  const at = (offset: number): bigint => record.readBigUInt64LE(offset)
  expect([8, 16, 24, 32, 40, 48].map(at)).toEqual([3n, 3n, 9n, 9n, 0n, 0n])
})

test.each([
  [{ bytes: 512 }, 4 | 8],
  [{ inodes: 5 }, 1 | 2],
  [{}, 0],
  [{ bytes: 0 }, 4 | 8],
])('of %o only what is there is changed', (limits, fields) => {
  expect(packLimits(1, limits).readUInt16LE(2)).toBe(fields)
})

test('sizes beyond 32 bits are kept', () => {
  const bytes = 5 * 1024 ** 4
  expect(unpackUsage(packLimits(1, { bytes })).limits.bytes).toBe(bytes)
})

test('what is used is read in bytes', () => {
  const record = Buffer.alloc(112)
  record.writeBigUInt64LE(6n, 40)
  record.writeBigUInt64LE(4n, 48)
  expect(unpackUsage(record)).toEqual({ bytes: 3072, inodes: 4, limits: { bytes: 0, inodes: 0 } })
})

test.each(['descriptor', 'device'] as const)('where there are no quotas, the call by %s fails', (way) => {
  // proc has neither quotas nor a device.
  const fd = openSync('/proc/self', 'r')
  expect(() => projectState(fd, way)).toThrow(
    expect.toSatisfy((error: unknown) =>
      isSystemError(error, 'ENOSYS', 'ENOTBLK', 'ENODEV', 'ENOENT', 'EOPNOTSUPP', 'ESRCH'),
    ),
  )
})
