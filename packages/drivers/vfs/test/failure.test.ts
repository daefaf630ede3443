/** Calls that fail, and processes that die, leave nothing that is called by an id. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { isGraphDriverError } from '@graphdriver/core'
import { makeScratch, mount, MS, readMountTable, run as command } from '@graphdriver/sys'
import { filesystem } from '@tooling/lab'
import { describe, expect, test } from 'vitest'
import vfs from '../src/index.ts'
import { homeOf, id, makeLayer, missing, openAt, openOn } from './open.ts'

const skipped = missing('ext4', 'tmpfs')
const many = Array.from({ length: 64 }, (_, index) => index)

function namesIn(root: string): readonly string[] {
  return readdirSync(path.join(homeOf(root), 'dir')).toSorted()
}

describe.skipIf(skipped !== undefined)(`vfs when things fail (${skipped ?? 'as root'})`, () => {
  test('what is mounted in a layer is unmounted, not emptied, when the layer is removed', async () => {
    await using place = await openOn('tmpfs')
    const host = path.join(place.root, 'host')
    mkdirSync(host)
    writeFileSync(path.join(host, 'precious'), '')
    await makeLayer(place.driver, 'base', undefined, (root) => {
      mkdirSync(`${root}/mnt`)
      mount({ source: host, target: `${root}/mnt`, flags: MS.BIND })
    })
    await place.driver.remove(id('base'))
    expect(readdirSync(host)).toEqual(['precious'])
    expect(await place.driver.exists(id('base'))).toBe(false)
    expect(readMountTable().filter((entry) => entry.target.endsWith('/mnt'))).toEqual([])
  })

  test('a file that cannot be deleted stands in nobody else’s way', async () => {
    await using place = await openOn('ext4')
    const { driver, root } = place
    let chattr = ''
    await makeLayer(driver, 'stuck', undefined, (layer) => writeFileSync((chattr = `${layer}/file`), ''))
    await makeLayer(driver, 'other', undefined)
    await command('chattr', ['+i', chattr])
    await expect(driver.remove(id('stuck'))).rejects.toMatchObject({ code: 'EPERM' })
    await driver.remove(id('other'))
    {
      await using again = await openAt(root)
      expect(await Array.fromAsync(again.layers())).toEqual([])
    }
    await command('chattr', ['-R', '-i', homeOf(root)])
    await using last = await openAt(root)
    expect(
      readdirSync(path.join(homeOf(root), 'dir')).filter((name) => name.startsWith('.graphdriver')),
    ).toEqual([])
    await last.cleanup()
  })

  test('a copy for which there is no space leaves nothing, and succeeds once there is', async () => {
    await using place = await openOn('tmpfs', { sizeMiB: 8 })
    await makeLayer(place.driver, 'base', undefined, (root) => {
      for (let index = 0; index < 10; index++) writeFileSync(`${root}/${index}`, Buffer.alloc(300_000))
    })
    writeFileSync(path.join(place.root, 'filler'), Buffer.alloc(3 << 20))
    const child = { parent: id('base') }
    await expect(place.driver.create(id('child'), child)).rejects.toMatchObject({ code: 'ENOSPC' })
    expect(namesIn(place.root)).toEqual(['base'])
    rmSync(path.join(place.root, 'filler'))
    await place.driver.create(id('child'), child)
    expect(namesIn(place.root)).toEqual(['base', 'child'])
  })

  test('an aborted call rejects with the reason and leaves nothing', async () => {
    await using place = await openOn('tmpfs')
    const { driver } = place
    await makeLayer(driver, 'a', undefined, (root) => {
      for (let index = 0; index < 3000; index++) writeFileSync(`${root}/${index}`, '')
    })
    const reason = new Error('enough')
    const aborted = AbortSignal.abort(reason)
    for (const call of [
      () => driver.create(id('c'), { signal: aborted }),
      () => driver.get(id('a'), { signal: aborted }),
      () => driver.remove(id('a'), { signal: aborted }),
      () => Array.fromAsync(driver.layers({ signal: aborted })),
    ]) {
      await expect(call()).rejects.toBe(reason)
    }
    const abort = new AbortController()
    const copying = driver.create(id('b'), { parent: id('a'), signal: abort.signal })
    setImmediate(() => abort.abort(reason))
    await expect(copying).rejects.toBe(reason)
    expect(namesIn(place.root)).toEqual(['a'])
  })

  test('a removal that is aborted has taken the layer away, and the next finishes it', async () => {
    await using place = await openOn('tmpfs')
    await makeLayer(place.driver, 'a', undefined, (root) => {
      for (let index = 0; index < 3000; index++) writeFileSync(`${root}/${index}`, '')
    })
    const abort = new AbortController()
    const removing = place.driver.remove(id('a'), { signal: abort.signal })
    setImmediate(() => abort.abort(new Error('enough')))
    await Promise.allSettled([removing])
    expect(await place.driver.exists(id('a'))).toBe(false)
    await place.driver.remove(id('a'))
    expect(namesIn(place.root)).toEqual([])
  })

  test('after a process was killed while it copied, only whole layers are there', async () => {
    await using place = await openOn('ext4')
    await makeLayer(place.driver, 'base', undefined, (root) => {
      for (let index = 0; index < 1000; index++) writeFileSync(`${root}/${index}`, String(index))
    })
    const program = path.join(import.meta.dirname, 'churn.ts')
    for (const steps of [1, 2, 5, 11]) {
      const child = spawn(process.execPath, [program, place.root], { stdio: ['ignore', 'pipe', 'inherit'] })
      let seen = 0
      child.stdout.on('data', (dots: Buffer) => {
        seen += dots.length
        if (seen >= steps) child.kill('SIGKILL')
      })
      await once(child, 'exit')
    }
    await using next = await openAt(place.root)
    expect(namesIn(place.root).filter((name) => name.startsWith('.'))).toEqual([])
    for await (const layer of next.layers()) {
      await using mount = await next.get(layer)
      expect(readdirSync(mount.path)).toHaveLength(1000)
    }
  })

  test('what a dead process was making or deleting is reaped when the home is opened', async () => {
    await using place = await openOn('tmpfs')
    {
      // Letting go of the lock is what dying does.
      using dead = makeScratch(path.join(homeOf(place.root), 'dir'), 'layer', 0o755)
      mkdirSync(path.join(dead.path, 'etc'))
    }
    expect(namesIn(place.root)).toHaveLength(1)
    await using _ = await openAt(place.root)
    expect(namesIn(place.root)).toEqual([])
  })

  test('what is being made by a living process is left alone', async () => {
    await using place = await openOn('tmpfs')
    using alive = makeScratch(path.join(homeOf(place.root), 'dir'), 'layer', 0o755)
    await using _ = await openAt(place.root)
    expect(existsSync(alive.path)).toBe(true)
  })

  test('64 layers are made, written and removed at the same time', async () => {
    await using place = await openOn('ext4')
    const { driver } = place
    await makeLayer(driver, 'base', undefined, (root) => writeFileSync(`${root}/file`, 'base'))
    await Promise.all(
      many.map(async (index) => {
        const layer = id(`layer-${index}`)
        await driver.create(layer, { parent: id('base') })
        await using mount = await driver.get(layer)
        writeFileSync(`${mount.path}/own`, String(index))
        expect(readFileSync(`${mount.path}/file`, 'utf8')).toBe('base')
      }),
    )
    expect(namesIn(place.root)).toHaveLength(65)
    await Promise.all(many.map((index) => driver.remove(id(`layer-${index}`))))
    expect(namesIn(place.root)).toEqual(['base'])
  })

  test('of 64 who make the same layer, one does', async () => {
    await using place = await openOn('tmpfs')
    await using other = await openAt(place.root)
    // Renaming onto an empty directory would replace it, so an empty layer is the hard case.
    await place.driver.create(id('empty'))
    const results = await Promise.allSettled(
      many.map((index) =>
        (index % 2 === 0 ? place.driver : other).create(id('same'), { parent: id('empty') }),
      ),
    )
    const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []))
    expect(failures).toHaveLength(63)
    expect(failures.every((failure) => isGraphDriverError(failure, 'GD_LAYER_EXISTS'))).toBe(true)
    expect(namesIn(place.root)).toEqual(['empty', 'same'])
  })
})

describe.skipIf(skipped !== undefined)(`vfs probes (${skipped ?? 'as root'})`, () => {
  function probeAt(root: string): ReturnType<typeof vfs.probe> {
    return vfs.probe({ root, home: homeOf(root), options: vfs.parse({}) })
  }

  test('a yes tells what a copy costs and leaves nothing, not even the root', async () => {
    await using volume = await filesystem('tmpfs', { sizeMiB: 64 })
    expect(await probeAt(path.join(volume.path, 'not/yet'))).toEqual({
      supported: true,
      notes: ['layers on tmpfs: every layer is a full copy'],
    })
    expect(readdirSync(volume.path)).toEqual([])
  })

  test('a root that cannot be written is refused, by open too', async () => {
    await using volume = await filesystem('tmpfs', { sizeMiB: 64, mountOptions: ['ro'] })
    expect(await probeAt(volume.path)).toMatchObject({ supported: false, code: 'not-writable' })
    await expect(openAt(volume.path)).rejects.toMatchObject({
      code: 'GD_DRIVER_UNSUPPORTED',
      details: { driver: 'vfs', reason: 'not-writable' },
    })
  })

  test('what a killed probe left is removed by the next', async () => {
    await using volume = await filesystem('tmpfs', { sizeMiB: 64 })
    const root = path.join(volume.path, 'root')
    for (const place of [volume.path, homeOf(root)]) {
      mkdirSync(place, { recursive: true })
      using dead = makeScratch(place, 'probe', 0o700)
      writeFileSync(path.join(dead.path, 'file'), '')
    }
    await probeAt(root)
    expect(readdirSync(volume.path)).toEqual(['root'])
    expect(readdirSync(homeOf(root))).toEqual([])
  })
})
