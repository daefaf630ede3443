import { parseLayerId } from '@graphdriver/core'
import { expect, test } from 'vitest'
import { deviceName, isRecordName, layerOfRecord, recordOf } from '../src/layout.ts'

test('a layer’s record has its id for a name', () => {
  const id = parseLayerId('a'.repeat(64))
  expect(recordOf(id)).toBe(id)
  expect(layerOfRecord(id)).toBe(id)
})

test.each(['base', 'pool', 'deviceset-metadata', 'transaction-metadata', 'old.migrated'])(
  'a layer %s has another than the layout’s own',
  (name) => {
    const record = recordOf(parseLayerId(name))
    expect(record).toBe(`layer:${name}`)
    expect(layerOfRecord(record)).toBe(name)
    expect(layerOfRecord(name)).toBeUndefined()
  },
)

test.each(['.tmp-1234', 'deviceset-metadata', 'transaction-metadata', 'x.migrated'])(
  '%s is no record',
  (name) => {
    expect(isRecordName(name)).toBe(false)
  },
)

test('devices are called as Docker calls them, as far as the device mapper takes it', () => {
  const prefix = 'docker-254:1-131075'
  expect(deviceName(prefix, 'base')).toBe('docker-254:1-131075-base')
  const [one, other] = ['1', '2'].map((end) => deviceName(prefix, parseLayerId(`${'x'.repeat(200)}${end}`)))
  expect([one?.length, other?.length]).toEqual([127, 127])
  expect(one).not.toBe(other)
})
