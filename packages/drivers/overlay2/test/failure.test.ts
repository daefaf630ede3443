/** Calls that fail leave nothing of themselves. */
import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { isSystemError, run as command } from '@graphdriver/sys'
import { describe, expect, test } from 'vitest'
import { homeOf, id, makeLayer, missing, openAt, openOn } from './open.ts'

const skipped = missing('ext4', 'tmpfs')

describe.skipIf(skipped !== undefined)(`overlay2 when calls fail (${skipped ?? 'as root'})`, () => {
  test('a layer that exists already leaves its would-be parent writable', async () => {
    await using place = await openOn('tmpfs')
    for (const name of ['parent', 'taken']) await place.driver.create(id(name))
    await expect(place.driver.create(id('taken'), { parent: id('parent') })).rejects.toMatchObject({
      code: 'GD_LAYER_EXISTS',
    })
    await using mounted = await place.driver.get(id('parent'))
    expect(mounted.readonly).toBe(false)
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
    expect(readdirSync(homeOf(root)).filter((name) => name.startsWith('.graphdriver'))).toEqual([])
    await last.cleanup()
  })

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
    for (let free = 0; free < 12; free++) {
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
    await driver.cleanup()
    expect(readdirSync(homeOf(place.root))).toEqual(['l'])
  })

  test('a large layer is out of sight when its removal returns, and gone when the driver is', async () => {
    await using place = await openOn('tmpfs')
    const { driver } = place
    const afterwards = async (): Promise<readonly string[]> => {
      await makeLayer(driver, 'large', undefined, (root) => {
        for (let index = 0; index < 20_000; index++) writeFileSync(`${root}/${index}`, '')
      })
      await driver.remove(id('large'))
      expect(await driver.exists(id('large'))).toBe(false)
      return readdirSync(homeOf(place.root)).toSorted()
    }
    let found = await afterwards()
    // On a busy machine all may be gone before this thread has its turn; not each time.
    for (let attempt = 1; attempt < 10 && found.length === 1; attempt++) found = await afterwards()
    const [hidden, ...others] = found
    expect([hidden?.startsWith('.graphdriver-layer-'), others]).toEqual([true, ['l']])
    // Whoever opens the place meanwhile leaves it to us, and its id can be used again at once.
    await using _ = await openAt(place.root)
    await makeLayer(driver, 'large', undefined, (root) => writeFileSync(`${root}/new`, ''))
    await driver.cleanup()
    expect(readdirSync(homeOf(place.root)).toSorted()).toEqual(['l', 'large'])
  })
})
