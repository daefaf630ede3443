/** `node scenarios.ts NAME`, in a guest: ends with 0 when what the name says is so. */
import assert from 'node:assert/strict'
import { closeSync, openSync, readdirSync, statSync } from 'node:fs'
import path from 'node:path'
import type { Driver } from '@graphdriver/core'
import { fileURLToPath } from 'node:url'
import { findLoopDevices, run } from '@graphdriver/sys'
import { id, killAtEachCall } from '@tooling/lab'
import { code, makeNamed, read, rowOf, runScenario, type Scenarios } from '@tooling/lab/guest-scenario'
import { deviceNumber, deviceState } from '@graphdriver/sys/devicemapper'
import { inChunks, rawTar } from '@graphdriver/core/conformance'
import {
  devices,
  devicesInPool,
  freshDirectory,
  homeOf,
  openAt,
  recordedDevices,
  recordText,
  standard,
} from './place.ts'
import { poolScenarios } from './pool-scenarios.ts'
import { makeSlices } from './slices.ts'

const mebibyte = 1024 * 1024

function applyFile(driver: Driver, layer: string, mebibytes: number): Promise<number> {
  // Not all the same, which nothing here would notice, but it is read back.
  const data = Buffer.alloc(mebibytes * mebibyte, layer)
  return driver.applyDiff(id(layer), undefined, inChunks(rawTar({ name: 'big', data })))
}

const scenarios: Scenarios = {
  ...poolScenarios,

  async 'docker-format'() {
    const root = freshDirectory()
    {
      await using driver = await openAt(root)
      await makeNamed(driver, 'one')
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
    await makeNamed(driver, 'kept')
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
      await makeNamed(driver, 'base0')
      const refused = async (): Promise<unknown> => {
        for (let number = 1; number < 2000; number++) {
          try {
            await makeNamed(driver, `layer${number}`, 'base0')
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
    await makeNamed(driver, 'another', 'base0')
    for (const name of made) await driver.remove(id(name))
  },

  async 'device-vanishes'() {
    const root = freshDirectory()
    using slices = makeSlices(256)
    await using driver = await openAt(root, { ...standard, ...slices.options })
    await makeNamed(driver, 'kept')
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
    await makeNamed(third, 'new')
  },

  async 'deferred-deletion'() {
    const root = freshDirectory()
    await using driver = await openAt(root)
    await makeNamed(driver, 'opened')
    const mount = await driver.get(id('opened'))
    const fd = openSync(`${mount.path}/opened`, 'r')
    await driver.remove(id('opened'))
    assert.equal(rowOf(await driver.status(), 'Deferred Deleted Device Count'), '1')
    await makeNamed(driver, 'opened')
    closeSync(fd)
    await driver.remove(id('unknown'))
    assert.equal(rowOf(await driver.status(), 'Deferred Deleted Device Count'), '0')
    assert.equal(await read(driver, 'opened'), 'opened')
    await using strict = await openAt(root, { ...standard, 'dm.use_deferred_deletion': 'false' })
    const again = await strict.get(id('opened'))
    const held = openSync(`${again.path}/opened`, 'r')
    await assert.rejects(strict.remove(id('opened')), (error) => {
      code('GD_LAYER_IN_USE')(error)
      return String(error).includes(`held by pid ${process.pid} (`)
    })
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
    await makeNamed(driver, 'kept')
    const mount = await driver.get(id('kept'))
    const { DeviceName: name = '' } = await driver.metadata(id('kept'))
    const pool = deviceState(rowOf(await driver.status(), 'Pool Name'))
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
      await makeNamed(driver, 'base0')
      await makeNamed(driver, 'kept', 'base0')
    })
    const killed = await killAtEachCall(
      [victim, root, JSON.stringify(standard)],
      ['ioctl', 'rename', 'mount', 'umount2'],
      () =>
        reopened(async (driver) => {
          await driver.remove(id('new'))
          if (!(await driver.exists(id('gone')))) await makeNamed(driver, 'gone', 'kept')
        }),
      async (where) => {
        await reopened(async (driver) => {
          for (const name of ['base0', 'kept']) assert.equal(await read(driver, name), name, where)
          if (await driver.exists(id('gone'))) assert.equal(await read(driver, 'gone'), 'gone', where)
          await driver.remove(id('new'))
          await makeNamed(driver, 'new', 'kept')
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
}

await runScenario(scenarios)
