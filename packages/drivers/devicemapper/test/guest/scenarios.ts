/** `node scenarios.ts NAME`, in a guest: ends with 0 when what the name says is so. */
import assert from 'node:assert/strict'
import { closeSync, existsSync, openSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type Driver, isGraphDriverError } from '@graphdriver/core'
import { fileURLToPath } from 'node:url'
import { findLoopDevices, run } from '@graphdriver/sys'
import { killAtEachCall } from '@tooling/lab'
import { deviceNumber, deviceState } from '@graphdriver/sys/devicemapper'
import { inChunks, rawTar } from '@graphdriver/core/conformance'
import {
  devices,
  devicesInPool,
  freshDirectory,
  homeOf,
  id,
  makeLayer,
  openAt,
  read,
  recordedDevices,
  recordText,
  standard,
  write,
} from './place.ts'
import { makeSlices } from './slices.ts'

const mebibyte = 1024 * 1024

function applyFile(driver: Driver, layer: string, mebibytes: number): Promise<number> {
  // Not all the same, which nothing here would notice, but it is read back.
  const data = Buffer.alloc(mebibytes * mebibyte, layer)
  return driver.applyDiff(id(layer), undefined, inChunks(rawTar({ name: 'big', data })))
}

function spaceOf(rows: readonly (readonly [string, string])[], key: string): string {
  return rows.find(([name]) => name === key)?.[1] ?? ''
}

function code(expected: string, reason?: string) {
  return (error: unknown): boolean => {
    assert(isGraphDriverError(error), String(error))
    assert.equal(error.code, expected, String(error))
    if (reason !== undefined) assert.equal((error.details as { readonly reason?: string }).reason, reason)
    return true
  }
}

const scenarios: Readonly<Record<string, () => Promise<void>>> = {
  async 'docker-format'() {
    const root = freshDirectory()
    {
      await using driver = await openAt(root)
      await makeLayer(driver, 'one')
      await driver.createReadWrite(id('two'), { parent: id('one'), storageOptions: { size: '64M' } })
      await driver.create(id('base'), { parent: id('one') })
    }
    const base = 32 * mebibyte
    const record = (device: number, size: number, initialized: boolean): string =>
      `{"device_id":${device},"size":${size},"transaction_id":${device},"initialized":${initialized},"deleted":false}`
    assert.equal(recordText(root, 'base'), record(1, base, true))
    assert.equal(recordText(root, 'one'), record(2, base, false))
    assert.equal(recordText(root, 'two'), record(3, 64 * mebibyte, false))
    // Docker never draws such an id: its record would be the base device's.
    assert.equal(recordText(root, 'layer:base'), record(4, base, false))
    assert.match(
      recordText(root, 'deviceset-metadata'),
      /^\{"next_device_id":1,"BaseDeviceUUID":"[0-9a-f-]{36}","BaseDeviceFilesystem":"ext4"\}$/,
    )
    assert.equal(
      recordText(root, 'transaction-metadata'),
      '{"open_transaction_id":4,"device_hash":"layer:base","device_id":4}',
    )
    assert.deepEqual(readdirSync(path.join(homeOf(root), 'mnt')), [])
    assert.deepEqual(await devices(), [])
  },

  async 'data-full'() {
    const root = freshDirectory()
    const options = { ...standard, 'dm.basesize': '200M', 'dm.loopdatasize': '96M' }
    const data = path.join(homeOf(root), 'devicemapper/data')
    await using driver = await openAt(root, options)
    await makeLayer(driver, 'kept')
    for (const name of ['first', 'second']) await driver.create(id(name))
    await applyFile(driver, 'first', 40)
    await assert.rejects(applyFile(driver, 'second', 90), code('GD_NO_SPACE'))
    await assert.rejects(driver.create(id('third')), (error) => {
      code('GD_NO_SPACE')(error)
      assert.match(String(error), /remove layers, or raise dm.loopdatasize/)
      return true
    })
    assert.equal(await driver.exists(id('third')), false)
    assert.equal(await read(driver, 'kept'), 'kept')
    const taken = statSync(data).blocks
    await driver.remove(id('second'))
    assert(statSync(data).blocks < taken / 2 + 40 * 2048, 'the space did not come back')
    await driver.create(id('third'))
    await applyFile(driver, 'third', 10)
    assert.equal((await read(driver, 'third', 'big')).length, 10 * mebibyte)
    assert.equal((await read(driver, 'first', 'big')).length, 40 * mebibyte)
  },

  async 'metadata-full'() {
    const root = freshDirectory()
    const options = { ...standard, 'dm.loopmetadatasize': '2M', 'dm.min_free_space': '0%' }
    const made: string[] = []
    {
      await using driver = await openAt(root, options)
      await makeLayer(driver, 'base0')
      const refused = async (): Promise<unknown> => {
        for (let number = 1; number < 2000; number++) {
          try {
            await makeLayer(driver, `layer${number}`, 'base0')
          } catch (error) {
            return error
          }
          made.push(`layer${number}`)
        }
        return undefined
      }
      code('GD_NO_SPACE')(await refused())
      assert.equal(await read(driver, 'base0'), 'base0')
    }
    await using driver = await openAt(root, { ...options, 'dm.loopmetadatasize': '8M' })
    for (const name of made) assert.equal(await read(driver, name), name)
    await makeLayer(driver, 'another', 'base0')
    for (const name of made) await driver.remove(id(name))
  },

  async 'device-vanishes'() {
    const root = freshDirectory()
    using slices = makeSlices(256)
    await using driver = await openAt(root, { ...standard, ...slices.options })
    await makeLayer(driver, 'kept')
    await driver.cleanup()
    slices.breakMetadata()
    await assert.rejects(openAt(root, { ...standard, ...slices.options }), code('GD_POOL_UNUSABLE'))
    slices.mend()
    await using again = await openAt(root, { ...standard, ...slices.options })
    slices.breakMetadata()
    await assert.rejects(again.create(id('new')), code('GD_POOL_UNUSABLE', 'failed'))
    await again.cleanup()
    slices.mend()
    await using third = await openAt(root, { ...standard, ...slices.options })
    assert.deepEqual(await Array.fromAsync(third.layers()), ['kept'])
    assert.equal(await read(third, 'kept'), 'kept')
    await makeLayer(third, 'new')
  },

  async foreign() {
    using slices = makeSlices(256)
    const options = { ...standard, ...slices.options }
    {
      await using first = await openAt(freshDirectory(), options)
      await makeLayer(first, 'kept')
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
      await makeLayer(driver, 'kept')
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
    await makeLayer(driver, 'kept')
    await using _ = await driver.get(id('kept'))
    const before = spaceOf(await driver.status(), 'Data Space Total')
    await using other = await openAt(root, { ...standard, 'dm.loopdatasize': '512M' })
    assert.deepEqual([before, spaceOf(await other.status(), 'Data Space Total')], ['268.4MB', '536.9MB'])
    assert.equal(await read(driver, 'kept'), 'kept')
  },

  async 'base-grows'() {
    const root = freshDirectory()
    {
      await using driver = await openAt(root)
      await makeLayer(driver, 'small')
    }
    await using driver = await openAt(root, { ...standard, 'dm.basesize': '64M' })
    await makeLayer(driver, 'large')
    await write(driver, 'large', 'big', Buffer.alloc(40 * mebibyte))
    await assert.rejects(write(driver, 'small', 'big', Buffer.alloc(40 * mebibyte)), { code: 'ENOSPC' })
    await driver.cleanup()
    await assert.rejects(openAt(root, { ...standard, 'dm.basesize': '48M' }), code('GD_INVALID_OPTION'))
  },

  async 'deferred-deletion'() {
    const root = freshDirectory()
    await using driver = await openAt(root)
    await makeLayer(driver, 'opened')
    const mount = await driver.get(id('opened'))
    const fd = openSync(`${mount.path}/opened`, 'r')
    await driver.remove(id('opened'))
    assert.equal(spaceOf(await driver.status(), 'Deferred Deleted Device Count'), '1')
    await makeLayer(driver, 'opened')
    closeSync(fd)
    await driver.remove(id('unknown'))
    assert.equal(spaceOf(await driver.status(), 'Deferred Deleted Device Count'), '0')
    assert.equal(await read(driver, 'opened'), 'opened')
    await using strict = await openAt(root, { ...standard, 'dm.use_deferred_deletion': 'false' })
    const again = await strict.get(id('opened'))
    const held = openSync(`${again.path}/opened`, 'r')
    await assert.rejects(strict.remove(id('opened')), code('GD_LAYER_IN_USE'))
    assert.equal(await strict.exists(id('opened')), true)
    closeSync(held)
    await strict.remove(id('opened'))
    await driver.cleanup()
    await strict.cleanup()
    const metadata = path.join(homeOf(root), 'devicemapper/metadata')
    assert.deepEqual(await devicesInPool(metadata), recordedDevices(root))
  },

  async 'leaked-devices'() {
    const root = freshDirectory()
    await using driver = await openAt(root)
    await makeLayer(driver, 'kept')
    const mount = await driver.get(id('kept'))
    const { DeviceName: name = '' } = await driver.metadata(id('kept'))
    const pool = deviceState(spaceOf(await driver.status(), 'Pool Name'))
    assert(pool !== undefined)
    await mount[Symbol.asyncDispose]()
    // What a process left that died in between: a device without a mount, one without a record, one that is held.
    await run('dmsetup', ['create', name, '--table', `0 65536 thin ${deviceNumber(pool)} 2`])
    await run('dmsetup', ['suspend', name])
    await run('dmsetup', ['create', name.replace(/kept$/, 'gone'), '--notable'])
    await using other = await openAt(root)
    assert.deepEqual(
      (await devices()).filter((device) => /kept|gone/.test(device)),
      [],
    )
    assert.equal(await read(other, 'kept'), 'kept')
  },

  /** Before each call that changes something, of a process that makes a layer, uses it, and removes another. */
  async killed() {
    const root = freshDirectory()
    const victim = fileURLToPath(new URL('victim.ts', import.meta.url))
    const metadata = path.join(homeOf(root), 'devicemapper/metadata')
    const reopened = async (use: (driver: Driver) => Promise<void>): Promise<void> => {
      await using driver = await openAt(root)
      await use(driver)
    }
    await reopened(async (driver) => {
      await makeLayer(driver, 'base0')
      await makeLayer(driver, 'kept', 'base0')
    })
    const killed = await killAtEachCall(
      [victim, root, JSON.stringify(standard)],
      ['ioctl', 'rename', 'mount', 'umount2'],
      () =>
        reopened(async (driver) => {
          await driver.remove(id('new'))
          if (!(await driver.exists(id('gone')))) await makeLayer(driver, 'gone', 'kept')
        }),
      async (where) => {
        await reopened(async (driver) => {
          for (const name of ['base0', 'kept']) assert.equal(await read(driver, name), name, where)
          if (await driver.exists(id('gone'))) assert.equal(await read(driver, 'gone'), 'gone', where)
          await driver.remove(id('new'))
          await makeLayer(driver, 'new', 'kept')
        })
        assert.deepEqual(await devices(), [], `${where}: devices are left`)
        assert.deepEqual(findLoopDevices(metadata), [], `${where}: loop devices are left`)
        assert.deepEqual(
          await devicesInPool(metadata),
          recordedDevices(root),
          `${where}: the pool has others`,
        )
        const records = readdirSync(path.join(homeOf(root), 'metadata')).toSorted()
        const wanted = ['base', 'base0', 'deviceset-metadata', 'gone', 'kept', 'new', 'transaction-metadata']
        assert.deepEqual(
          records.filter((name) => name !== 'gone'),
          wanted.filter((name) => name !== 'gone'),
          where,
        )
      },
    )
    console.log(`killed ${killed} times`)
    assert(killed > 60, `it was killed only ${killed} times`)
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
      await makeLayer(driver, 'kept')
      assert.equal(spaceOf(await driver.status(), 'Pool Name'), 'docker-thinpool')
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
    // It is known how it was made.
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
      await makeLayer(driver, 'one')
      await makeLayer(driver, 'two', 'one')
      assert.equal(spaceOf(await driver.status(), 'Pool Name'), 'given')
    }
    assert.deepEqual((await devices()).toSorted(), ['given', ...slices.names].toSorted())
    assert.equal(existsSync(path.join(homeOf(root), 'devicemapper')), false)
    await run('dmsetup', ['remove', 'given'])
  },
}

const [name = ''] = process.argv.slice(2)
process.removeAllListeners('warning')
const scenario = scenarios[name]
assert(scenario !== undefined, `no scenario ${name}`)
await scenario()
