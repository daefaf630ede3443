/** What `zpool list -H -o health` of ZFS 2.4 says, recorded. */
import { expect, test } from 'vitest'
import { poolOf } from '@graphdriver/sys/zfs'
import { parseHealth } from '../src/pool.ts'

test.each([
  ['ONLINE\n', 'ONLINE'],
  ['SUSPENDED\n', 'SUSPENDED'],
  ['DEGRADED\n', 'DEGRADED'],
  ['', undefined],
  ['no pools available\n', undefined],
])('%j', (stdout, health) => {
  expect(parseHealth(stdout)).toBe(health)
})

test('the pool of a dataset is the first word of its name', () => {
  expect([poolOf('tank'), poolOf('tank/docker/a')]).toEqual(['tank', 'tank'])
})
