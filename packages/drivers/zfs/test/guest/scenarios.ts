/** `node scenarios.ts NAME`, in a guest: ends with 0 when what the name says is so. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { linkSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Driver } from '@graphdriver/core'
import { run } from '@graphdriver/sys'
import { id, killAtEachCall } from '@tooling/lab'
import { code, makeNamed, read, rowOf, runScenario, type Scenarios, write } from '@tooling/lab/guest-scenario'
import { listed, makePool, open, pool, root } from './place.ts'

const victim = fileURLToPath(new URL('victim.ts', import.meta.url))
const mebibyte = 1024 * 1024

const scenarios: Scenarios = {
  async 'docker-layout'() {
    await makePool()
    await using driver = await open()
    await makeNamed(driver, 'one')
    await driver.createReadWrite(id('two'), { parent: id('one'), storageOptions: { size: '10M' } })
    const lines = (await listed('type', 'mountpoint', 'quota', 'origin', 'defer_destroy')).map((line) =>
      line.replaceAll(/graphdriver-[0-9a-f]{16}/g, 'SNAPSHOT'),
    )
    assert.deepEqual(lines, [
      `${pool}\tfilesystem\t${root}\tnone\t-\t-`,
      `${pool}/one\tfilesystem\tlegacy\tnone\t-\t-`,
      `${pool}/one@SNAPSHOT\tsnapshot\t-\t-\t-\ton`,
      `${pool}/two\tfilesystem\tlegacy\t10M\t${pool}/one@SNAPSHOT\t-`,
    ])
    const rows = await driver.status()
    assert.equal(rowOf(rows, 'Zpool Health'), 'ONLINE')
    assert.equal(rowOf(rows, 'Parent Dataset'), pool)
  },

  async full() {
    await makePool(256)
    await using driver = await open()
    await makeNamed(driver, 'kept')
    await driver.create(id('filling'))
    await assert.rejects(write(driver, 'filling', 'big', Buffer.alloc(400 * mebibyte, 'x')), {
      code: 'ENOSPC',
    })
    const refused = await (async () => {
      for (let number = 0; number < 2000; number++)
        try {
          await driver.create(id(`more${number}`), { parent: id('kept') })
        } catch (error) {
          return error
        }
      return undefined
    })()
    code('GD_NO_SPACE')(refused)
    await driver.remove(id('filling'))
    assert.equal(await read(driver, 'kept'), 'kept')
    await makeNamed(driver, 'again', 'kept')
    assert.equal(await read(driver, 'again'), 'again')
  },

  async suspended() {
    const disk = await makePool()
    await using driver = await open()
    await makeNamed(driver, 'kept')
    disk.break()
    // It notices with the next write.
    spawn('zpool', ['sync', pool], { stdio: 'ignore' }).unref()
    for (let health = ''; health !== 'SUSPENDED'; await setTimeout(100))
      health = (await run('zpool', ['list', '-H', '-o', 'health', pool])).stdout.trim()
    await assert.rejects(driver.create(id('new'), { parent: id('kept') }), (error) => {
      code('GD_POOL_UNUSABLE', 'suspended')(error)
      assert.match(String(error), /zpool clear scenario/)
      return true
    })
    disk.mend()
    await run('zpool', ['clear', pool])
    assert.equal(await driver.exists(id('new')), false)
    assert.equal(await read(driver, 'kept'), 'kept')
    await makeNamed(driver, 'new', 'kept')
  },

  async busy() {
    await makePool()
    await using driver = await open()
    await makeNamed(driver, 'held')
    const mount = await driver.get(id('held'))
    const holder = spawn('unshare', ['--mount', 'sh', '-c', 'echo ready; exec sleep 1000'])
    await once(holder.stdout, 'data')
    await mount[Symbol.asyncDispose]()
    await driver.remove(id('held'))
    const busy = rowOf(await driver.status(), 'Removed, in use')
    // Removing the mount point may have ended the copy of the mount there, too: then nothing is left.
    if (busy !== '') assert.match(busy, new RegExp(`pid ${holder.pid} \\(sleep\\)`))
    await makeNamed(driver, 'held')
    holder.kill()
    await once(holder, 'exit')
    await driver.remove(id('unknown'))
    assert.equal(rowOf(await driver.status(), 'Removed, in use'), '')
    assert.equal(await read(driver, 'held'), 'held')
    await run('zfs', ['destroy', `${pool}/held`])
    await assert.rejects(driver.get(id('held')), code('GD_LAYER_NOT_FOUND'))
    await driver.remove(id('held'))
  },

  /** Before each call that changes something, of a process that makes a layer, uses it, and removes another. */
  async killed() {
    await makePool()
    const reopened = async (use: (driver: Driver) => Promise<void>): Promise<void> => {
      await using driver = await open()
      await use(driver)
    }
    await reopened(async (driver) => {
      await makeNamed(driver, 'base')
      await makeNamed(driver, 'kept', 'base')
    })
    const killed = await killAtEachCall(
      [victim, 'use'],
      ['ioctl', 'mount', 'umount2', 'rmdir'],
      () =>
        reopened(async (driver) => {
          await driver.remove(id('new'))
          if (!(await driver.exists(id('gone')))) await makeNamed(driver, 'gone', 'kept')
        }),
      async (where) => {
        await reopened(async (driver) => {
          for (const name of ['base', 'kept']) assert.equal(await read(driver, name), name, where)
          if (await driver.exists(id('gone'))) assert.equal(await read(driver, 'gone'), 'gone', where)
          for (const name of ['new', 'gone']) await driver.remove(id(name))
        })
        const left = (await listed()).map((line) => line.replace(/@graphdriver-[0-9a-f]{16}$/, '@'))
        assert.deepEqual(left, [pool, `${pool}/base`, `${pool}/base@`, `${pool}/kept`], where)
      },
    )
    console.log(`killed ${killed} times`)
    assert(killed > 20, `it was killed only ${killed} times`)
  },

  /** What is not touched is not looked at: directories are counted, not seconds. */
  async 'native-diff'() {
    await makePool(1024)
    const directories = 2000
    {
      await using driver = await open()
      await driver.create(id('image'))
      {
        await using image = await driver.get(id('image'))
        for (let number = 0; number < directories; number++) {
          mkdirSync(`${image.path}/d${number}`)
          writeFileSync(`${image.path}/d${number}/f`, String(number))
        }
      }
      await driver.create(id('child'), { parent: id('image') })
      await using child = await driver.get(id('child'))
      writeFileSync(`${child.path}/d7/f`, 'changed')
      writeFileSync(`${child.path}/d7/new`, 'new')
    }
    const look = async (): Promise<readonly [changes: unknown, looks: number]> => {
      const args = [
        '-f',
        '-qqq',
        '-e',
        'trace=getdents64',
        '-o',
        '/tmp/looks',
        process.execPath,
        victim,
        'look',
      ]
      const { stdout } = await run('strace', args)
      return [JSON.parse(stdout), readFileSync('/tmp/looks', 'utf8').split('\n').length]
    }
    const [changes, looks] = await look()
    assert.deepEqual(changes, [
      { path: '/d7', kind: 'modify' },
      { path: '/d7/f', kind: 'modify' },
      { path: '/d7/new', kind: 'add' },
    ])
    assert(looks < directories / 10, `${looks} directories were read`)
    // ZFS knows one name of a file: with two, both trees are walked, and nothing is missed.
    {
      await using driver = await open()
      await using child = await driver.get(id('child'))
      linkSync(`${child.path}/d9/f`, `${child.path}/d10/other`)
    }
    const [linked, walked] = await look()
    assert.equal((linked as readonly unknown[]).length, 5)
    assert(walked > directories, `only ${walked} directories were read`)
  },
}

await runScenario(scenarios)
