/** Calls that fail, and processes that die, leave nothing that is called by an id. */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { makeScratch, run as command } from '@graphdriver/sys'
import { filesystem } from '@tooling/lab'
import { describe, expect, test } from 'vitest'
import vfs from '../src/index.ts'
import { homeOf, id, makeLayer, missing, openAt, openOn } from './open.ts'

const skipped = missing('ext4', 'tmpfs')

function namesIn(root: string): readonly string[] {
  return readdirSync(path.join(homeOf(root), 'dir')).toSorted()
}

describe.skipIf(skipped !== undefined)(`vfs when things fail (${skipped ?? 'as root'})`, () => {
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
    await place.driver.cleanup()
    expect(namesIn(place.root)).toEqual([])
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
