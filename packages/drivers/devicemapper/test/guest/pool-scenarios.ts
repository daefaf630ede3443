/** What is shown of pools: whose they are, what they are made of, how they grow. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { run } from '@graphdriver/sys'
import { id } from '@tooling/lab'
import { code, makeNamed, read, rowOf, type Scenarios, write } from '@tooling/lab/guest-scenario'
import { devices, freshDirectory, homeOf, openAt, recordText, standard } from './place.ts'
import { makeSlices } from './slices.ts'

const mebibyte = 1024 * 1024

export const poolScenarios: Scenarios = {
  async foreign() {
    using slices = makeSlices(256)
    const options = { ...standard, ...slices.options }
    {
      await using first = await openAt(freshDirectory(), options)
      await makeNamed(first, 'kept')
    }
    await assert.rejects(openAt(freshDirectory(), options), code('GD_POOL_UNUSABLE', 'foreign'))
    using others = makeSlices(256)
    const theirs = { ...standard, ...others.options }
    await run('mkfs.ext4', ['-q', '-F', theirs['dm.datadev']])
    await assert.rejects(openAt(freshDirectory(), theirs), code('GD_POOL_UNUSABLE', 'foreign'))
    await run('mkfs.ext4', ['-q', '-F', theirs['dm.metadatadev']])
    await assert.rejects(openAt(freshDirectory(), theirs), code('GD_POOL_UNUSABLE', 'foreign'))
    await run('e2fsck', ['-fn', theirs['dm.metadatadev']])
    assert.deepEqual(
      (await devices()).filter((name) => name.startsWith('docker-')),
      [],
    )
  },

  async 'wrong-uuid'() {
    const root = freshDirectory()
    {
      await using driver = await openAt(root)
      await makeNamed(driver, 'kept')
    }
    const file = path.join(homeOf(root), 'metadata/deviceset-metadata')
    const right = recordText(root, 'deviceset-metadata')
    writeFileSync(file, right.replace(/"BaseDeviceUUID":"[0-9a-f]{8}/, '"BaseDeviceUUID":"01234567'))
    await assert.rejects(openAt(root), (error) => {
      code('GD_POOL_UNUSABLE', 'foreign')(error)
      assert.match(String(error), /another pool than before/)
      return true
    })
    assert.deepEqual(await devices(), [])
    writeFileSync(file, right)
    await using driver = await openAt(root)
    assert.equal(await read(driver, 'kept'), 'kept')
  },

  async 'pool-grows'() {
    const root = freshDirectory()
    await using driver = await openAt(root)
    await makeNamed(driver, 'kept')
    await using _ = await driver.get(id('kept'))
    const before = rowOf(await driver.status(), 'Data Space Total')
    await using other = await openAt(root, { ...standard, 'dm.loopdatasize': '512M' })
    assert.deepEqual([before, rowOf(await other.status(), 'Data Space Total')], ['268.4MB', '536.9MB'])
    assert.equal(await read(driver, 'kept'), 'kept')
  },

  async 'base-grows'() {
    const root = freshDirectory()
    {
      await using driver = await openAt(root)
      await makeNamed(driver, 'small')
    }
    await using driver = await openAt(root, { ...standard, 'dm.basesize': '64M' })
    await makeNamed(driver, 'large')
    await write(driver, 'large', 'big', Buffer.alloc(40 * mebibyte))
    await assert.rejects(write(driver, 'small', 'big', Buffer.alloc(40 * mebibyte)), { code: 'ENOSPC' })
    await driver.cleanup()
    await assert.rejects(openAt(root, { ...standard, 'dm.basesize': '48M' }), code('GD_INVALID_OPTION'))
  },

  async 'direct-lvm'() {
    const root = freshDirectory()
    const disk = '/dev/ubdb'
    const options = { 'dm.fs': 'ext4', 'dm.basesize': '32M', 'dm.directlvm_device': disk }
    await run('mkfs.ext4', ['-q', disk])
    await assert.rejects(openAt(root, options), code('GD_POOL_UNUSABLE', 'foreign'))
    await run('wipefs', ['-aq', disk])
    {
      await using driver = await openAt(root, options)
      await makeNamed(driver, 'kept')
      assert.equal(rowOf(await driver.status(), 'Pool Name'), 'docker-thinpool')
    }
    const saved = readFileSync(path.join(homeOf(root), 'setup-config.json'), 'utf8')
    assert.equal(
      saved,
      `{"Device":"${disk}","ThinpPercent":0,"ThinpMetaPercent":0,"AutoExtendPercent":0,"AutoExtendThreshold":0}`,
    )
    const { stdout } = await run('lvs', ['--noheadings', '-o', 'lv_name,lv_profile,chunk_size', 'docker'])
    assert.match(stdout, /thinpool +docker-thinpool +512.00k/)
    await assert.rejects(
      openAt(root, { ...options, 'dm.directlvm_device': '/dev/ubdc' }),
      code('GD_INVALID_OPTION'),
    )
    await run('vgchange', ['-an', 'docker'])
    // It is known how it was made, and that it is in no files.
    process.env['NODE_ENV'] = 'production'
    await using again = await openAt(root, { 'dm.fs': 'ext4' })
    assert.equal(await read(again, 'kept'), 'kept')
    await assert.rejects(openAt(freshDirectory(), options), code('GD_POOL_UNUSABLE', 'foreign'))
  },

  async 'given-pool'() {
    using slices = makeSlices(256)
    const { 'dm.datadev': data, 'dm.metadatadev': metadata } = slices.options
    const table = `0 ${(256 * mebibyte) / 512} thin-pool ${metadata} ${data} 1024 0`
    const root = freshDirectory()
    const options = { ...standard, 'dm.thinpooldev': '/dev/mapper/given' }
    await assert.rejects(openAt(root, options), code('GD_POOL_UNUSABLE', 'missing'))
    await run('dmsetup', ['create', 'given', '--table', `0 8 linear ${data} 0`])
    await assert.rejects(openAt(root, options), code('GD_POOL_UNUSABLE', 'not-a-pool'))
    await run('dmsetup', ['remove', 'given'])
    await run('dmsetup', ['create', 'given', '--table', table])
    {
      await using driver = await openAt(root, options)
      await makeNamed(driver, 'one')
      await makeNamed(driver, 'two', 'one')
      assert.equal(rowOf(await driver.status(), 'Pool Name'), 'given')
    }
    assert.deepEqual((await devices()).toSorted(), ['given', ...slices.names].toSorted())
    assert.equal(existsSync(path.join(homeOf(root), 'devicemapper')), false)
    await run('dmsetup', ['remove', 'given'])
  },
}
