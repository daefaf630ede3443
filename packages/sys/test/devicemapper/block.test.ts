import { existsSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { attachLoop, findCommand, hasCapability, type LoopDevice, run } from '../../src/index.ts'
import {
  blockDeviceSize,
  deviceMapperVersion,
  discardDevice,
  identifyFilesystem,
} from '../../src/devicemapper/index.ts'
import { type Scratch, scratch } from '../scratch.ts'

const makers = ['mkfs.ext4', 'mkfs.xfs', 'mkfs.btrfs']
const missing = !hasCapability('CAP_SYS_ADMIN') || makers.some((maker) => findCommand(maker) === undefined)

describe.skipIf(missing)('a block device (as root)', () => {
  let place: Scratch
  let device: LoopDevice

  beforeAll(() => {
    place = scratch()
    const file = path.join(place.path, 'disk')
    writeFileSync(file, '')
    truncateSync(file, 400 * 1024 * 1024)
    device = attachLoop(file)
  })
  afterAll(() => {
    device.detach()
    place[Symbol.dispose]()
  })

  test('tells its size', () => {
    expect(blockDeviceSize(device.path)).toBe(400 * 1024 * 1024)
  })

  test.each([
    ['ext4', 'mkfs.ext4', ['-q', '-F', '-U']],
    ['xfs', 'mkfs.xfs', ['-q', '-f', '-m']],
    ['btrfs', 'mkfs.btrfs', ['-q', '-f', '-U']],
  ] as const)('has %s with its UUID, until it is discarded', async (type, maker, options) => {
    const uuid = '01234567-89ab-4cde-8f01-23456789abcd'
    await run(maker, [...options, type === 'xfs' ? `uuid=${uuid}` : uuid, device.path])
    expect(identifyFilesystem(device.path)).toEqual({ type, uuid })
    discardDevice(device.path, blockDeviceSize(device.path))
    expect(identifyFilesystem(device.path)).toBeUndefined()
  })
})

test.skipIf(existsSync('/dev/mapper/control'))(
  'where there is no device mapper, that is what is said',
  () => {
    expect(() => deviceMapperVersion()).toThrow(expect.objectContaining({ code: 'ENOENT' }))
  },
)
