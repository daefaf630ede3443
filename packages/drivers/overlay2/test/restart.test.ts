/** What a process that ends, by itself or not, leaves to the next. */
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { makeScratch } from '@graphdriver/sys'
import { describe, expect, test } from 'vitest'
import { homeOf, id, makeLayer, missing, openAt, openOn } from './open.ts'

const skipped = missing('tmpfs')

describe.skipIf(skipped !== undefined)(`overlay2 after a restart (${skipped ?? 'as root'})`, () => {
  test('the mode of a container’s root is not touched when its mount is joined', async () => {
    await using place = await openOn('tmpfs')
    await place.driver.create(id('a'))
    await place.driver.create(id('b'), { parent: id('a') })
    await using mount = await place.driver.get(id('b'))
    await using next = await openAt(place.root)
    await using joined = await next.get(id('b'))
    expect(lstatSync(joined.path).mode & 0o7777).toBe(0o755)
    await using _ = mount
  })

  test('what a dead process was making or deleting is reaped when the home is opened', async () => {
    await using place = await openOn('tmpfs')
    const home = homeOf(place.root)
    await makeLayer(place.driver, 'a', undefined)
    const link = readFileSync(path.join(home, 'a/link'), 'utf8')
    {
      // Letting go of the lock is what dying does.
      using dead = makeScratch(home, 'layer', 0o710)
      mkdirSync(path.join(dead.path, 'diff'))
      writeFileSync(path.join(dead.path, 'link'), link)
    }
    await using _ = await openAt(place.root)
    expect(readdirSync(home).toSorted()).toEqual(['a', 'l'])
    expect(readdirSync(path.join(home, 'l')), 'its link is deleted with it').toEqual([])
  })

  test('what a living process is making is left alone', async () => {
    await using place = await openOn('tmpfs')
    const home = homeOf(place.root)
    using alive = makeScratch(home, 'layer', 0o710)
    using probing = makeScratch(home, 'probe', 0o710)
    await using _ = await openAt(place.root)
    expect(existsSync(alive.path)).toBe(true)
    expect(existsSync(probing.path)).toBe(true)
  })
})
