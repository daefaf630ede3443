import { hostOf } from '@graphdriver/core'
import { describe, expect, test } from 'vitest'
import devicemapper from '../src/index.ts'
import { changedSize, sizeOf } from '../src/options.ts'

function parsed(options: Readonly<Record<string, string>>) {
  return hostOf(devicemapper, { root: '/r', options }).options
}

test('without any, the options are Docker’s', () => {
  expect(parsed({})).toEqual({
    baseSize: undefined,
    loopDataSize: undefined,
    loopMetadataSize: undefined,
    loopForced: false,
    filesystem: undefined,
    mkfsArguments: [],
    mountOptions: [],
    dataDevice: undefined,
    metadataDevice: undefined,
    thinPool: undefined,
    directLvm: undefined,
    blockSize: 65_536,
    discard: true,
    deferredRemoval: undefined,
    deferredDeletion: undefined,
    minFreeSpace: 10,
    xfsNoSpaceRetries: undefined,
  })
})

test('all of them', () => {
  expect(
    parsed({
      'dm.basesize': '20G',
      'dm.loopdatasize': '200G',
      'dm.loopmetadatasize': '4G',
      'dm.loop': 'force',
      'dm.fs': 'xfs',
      'dm.mkfsarg': '-O ^has_journal',
      'dm.mountopt': 'nodiscard,noatime',
      'dm.blkdiscard': 'false',
      'dm.blocksize': '512K',
      'dm.override_udev_sync_check': 'true',
      'dm.use_deferred_removal': 'true',
      'dm.use_deferred_deletion': 'true',
      'dm.min_free_space': '5%',
      'dm.xfs_nospace_max_retries': '0',
      'dm.libdm_log_level': '7',
    }),
  ).toMatchObject({
    baseSize: 20 * 1024 ** 3,
    loopDataSize: 200 * 1024 ** 3,
    loopMetadataSize: 4 * 1024 ** 3,
    loopForced: true,
    filesystem: 'xfs',
    mkfsArguments: ['-O', '^has_journal'],
    mountOptions: ['nodiscard', 'noatime'],
    discard: false,
    blockSize: 512 * 1024,
    deferredRemoval: true,
    deferredDeletion: true,
    minFreeSpace: 5,
    xfsNoSpaceRetries: 0,
  })
})

test('a pool that is given is not told of what is removed, unless one says so', () => {
  expect(parsed({ 'dm.thinpooldev': '/dev/mapper/vg-pool' })).toMatchObject({
    thinPool: 'vg-pool',
    discard: false,
  })
  expect(parsed({ 'dm.thinpooldev': 'pool', 'dm.blkdiscard': '1' }).discard).toBe(true)
})

test('a device for a volume group', () => {
  expect(
    parsed({ 'dm.directlvm_device': '/dev/sdb', 'dm.thinp_percent': '90', 'dm.thinp_metapercent': '2' })
      .directLvm,
  ).toEqual({
    device: '/dev/sdb',
    force: false,
    thinpPercent: 90,
    thinpMetaPercent: 2,
    autoExtendPercent: 0,
    autoExtendThreshold: 0,
  })
})

describe('refused by name', () => {
  test.each([
    [{ 'dm.basesize': 'much' }, 'basesize'],
    [{ 'dm.basesize': '100' }, 'basesize'],
    [{ 'dm.fs': 'btrfs' }, 'fs'],
    [{ 'dm.loop': 'yes' }, 'loop'],
    [{ 'dm.blkdiscard': 'maybe' }, 'blkdiscard'],
    [{ 'dm.blocksize': '100K' }, 'blocksize'],
    [{ 'dm.blocksize': '2G' }, 'blocksize'],
    [{ 'dm.min_free_space': '10' }, 'min_free_space'],
    [{ 'dm.min_free_space': '100%' }, 'min_free_space'],
    [{ 'dm.xfs_nospace_max_retries': '-1' }, 'xfs_nospace_max_retries'],
    [{ 'dm.libdm_log_level': '8' }, 'libdm_log_level'],
    [{ 'dm.override_udev_sync_check': 'x' }, 'override_udev_sync_check'],
    [{ 'dm.datadev': '/dev/a' }, 'datadev'],
    [{ 'dm.metadatadev': '/dev/a' }, 'metadatadev'],
    [{ 'dm.datadev': '/dev/a', 'dm.metadatadev': '/dev/b', 'dm.thinpooldev': 'p' }, 'thinpooldev'],
    [{ 'dm.directlvm_device': '/dev/a', 'dm.thinpooldev': 'p' }, 'thinpooldev'],
    [{ 'dm.use_deferred_deletion': '1', 'dm.use_deferred_removal': '0' }, 'use_deferred_deletion'],
    [{ 'dm.thinp_percent': '95' }, 'thinp_percent'],
    [{ 'dm.thinp_percent': '95', 'dm.thinp_metapercent': '6' }, 'thinp_percent'],
    [{ 'dm.thinp_autoextend_threshold': '101' }, 'thinp_autoextend_threshold'],
    [{ 'dm.unknown': '1' }, 'unknown'],
  ])('%o', (options, option) => {
    expect(() => parsed(options)).toThrow(
      expect.objectContaining({ code: 'GD_INVALID_OPTION', details: expect.objectContaining({ option }) }),
    )
  })
})

test('sizes of layers are whole sectors', () => {
  expect(sizeOf('l', { size: '20000' })).toBe(19_968)
  expect(sizeOf('l', undefined)).toBeUndefined()
  expect(changedSize('l', { size: 1024 })).toBe(1024)
  expect(() => changedSize('l', { inodes: 5 })).toThrow(
    expect.objectContaining({ code: 'GD_INVALID_OPTION' }),
  )
})
