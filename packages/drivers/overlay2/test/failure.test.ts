/** Calls that fail leave nothing of themselves. */
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { isSystemError } from '@graphdriver/sys'
import { describe, expect, test } from 'vitest'
import { homeOf, id, makeLayer, missing, openOn } from './open.ts'

const skipped = missing('ext4', 'tmpfs')

describe.skipIf(skipped !== undefined)(`overlay2 when calls fail (${skipped ?? 'as root'})`, () => {
  test('a full disk leaves nothing of a layer, and its parent writable', async () => {
    await using place = await openOn('tmpfs', { sizeMiB: 1, mountOptions: ['nr_inodes=64'] })
    const home = homeOf(place.root)
    await place.driver.create(id('base'))
    const made: string[] = []
    for (;;) {
      try {
        const file = path.join(place.root, `file-${made.length}`)
        writeFileSync(file, '')
        made.push(file)
      } catch (error) {
        if (!isSystemError(error, 'ENOSPC')) throw error
        break
      }
    }
    // However few inodes are free, the call fails whole or succeeds whole.
    for (let free = 0; free < 10; free++) {
      const before = readdirSync(path.join(home, 'l')).length
      const outcome = await place.driver
        .create(id('child'), { parent: id('base') })
        .catch((error: unknown) => error)
      if (outcome === undefined) break
      expect(outcome).toMatchObject({ code: 'ENOSPC' })
      expect(readdirSync(home).toSorted()).toEqual(['base', 'l'])
      expect(readdirSync(path.join(home, 'l'))).toHaveLength(before)
      const victim = made.pop()
      if (victim !== undefined) rmSync(victim)
    }
    expect(await place.driver.exists(id('child'))).toBe(true)
  })

  test('a tar that does not fit fails with ENOSPC, and the layer can be removed', async () => {
    await using place = await openOn('tmpfs', { sizeMiB: 8 })
    const { driver } = place
    await makeLayer(driver, 'big', undefined, (root) => writeFileSync(`${root}/file`, Buffer.alloc(3 << 20)))
    await driver.create(id('copy'))
    writeFileSync(path.join(place.root, 'filler'), Buffer.alloc(3 << 20))
    await expect(
      driver.applyDiff(id('copy'), undefined, driver.diff(id('big'), undefined)),
    ).rejects.toMatchObject({ code: 'ENOSPC' })
    await driver.remove(id('copy'))
    expect(readdirSync(homeOf(place.root)).toSorted()).toEqual(['big', 'l'])
  })

  test('an aborted call rejects with the reason and leaves nothing', async () => {
    await using place = await openOn('tmpfs')
    const { driver } = place
    await makeLayer(driver, 'a', undefined, (root) => writeFileSync(`${root}/file`, 'a'))
    const reason = new Error('enough')
    const signal = AbortSignal.abort(reason)
    const tar = driver.diff(id('a'), undefined)
    await driver.create(id('b'))
    for (const call of [
      () => driver.create(id('c'), { signal, parent: id('a') }),
      () => driver.get(id('a'), { signal }),
      () => driver.remove(id('a'), { signal }),
      () => driver.changes(id('a'), undefined, { signal }),
      () => driver.diffSize(id('a'), undefined, { signal }),
      () => driver.applyDiff(id('b'), undefined, tar, { signal }),
      () => Array.fromAsync(driver.diff(id('a'), undefined, { signal })),
      () => Array.fromAsync(driver.layers({ signal })),
    ]) {
      await expect(call()).rejects.toBe(reason)
    }
    expect(readdirSync(homeOf(place.root)).toSorted()).toEqual(['a', 'b', 'l'])
    expect(existsSync(path.join(homeOf(place.root), 'a/committed'))).toBe(false)
  })

  test('a removal that is aborted has taken the layer away, and the next finishes it', async () => {
    await using place = await openOn('tmpfs')
    const { driver } = place
    await makeLayer(driver, 'a', undefined, (root) => {
      for (let index = 0; index < 5000; index++) writeFileSync(`${root}/${index}`, '')
    })
    const abort = new AbortController()
    const removing = driver.remove(id('a'), { signal: abort.signal })
    setImmediate(() => abort.abort(new Error('enough')))
    const [outcome] = await Promise.allSettled([removing])
    // It may have been done before the signal came.
    expect(['Error: enough', 'undefined']).toContain(
      outcome.status === 'rejected' ? String(outcome.reason) : 'undefined',
    )
    expect(await driver.exists(id('a'))).toBe(false)
    await driver.remove(id('a'))
    expect(readdirSync(homeOf(place.root))).toEqual(['l'])
  })

  test('a diff that is left early can be followed by any other call', async () => {
    await using place = await openOn('tmpfs')
    const { driver } = place
    await makeLayer(driver, 'a', undefined, (root) => writeFileSync(`${root}/file`, Buffer.alloc(8 << 20)))
    for await (const chunk of driver.diff(id('a'), undefined)) {
      expect(chunk.length).toBeGreaterThan(0)
      break
    }
    await driver.remove(id('a'))
    expect(readdirSync(homeOf(place.root))).toEqual(['l'])
  })
})
