/** What a process that ends, by itself or not, leaves to the next. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { readMountTable, makeScratch } from '@graphdriver/sys'
import { describe, expect, test } from 'vitest'
import { homeOf, id, makeLayer, missing, openAt, openOn } from './open.ts'

const skipped = missing('tmpfs')

function mountsAt(target: string): number {
  return readMountTable().filter((entry) => entry.target === target).length
}

describe.skipIf(skipped !== undefined)(`overlay2 after a restart (${skipped ?? 'as root'})`, () => {
  test('a mount left by an earlier process is joined, and one put more than gets unmounts it', async () => {
    await using place = await openOn('tmpfs')
    await place.driver.create(id('a'))
    await place.driver.create(id('b'), { parent: id('a') })
    const left = await place.driver.get(id('b'))
    writeFileSync(`${left.path}/file`, 'written before')
    await place.driver.cleanup()
    expect(mountsAt(left.path)).toBe(1)

    await using next = await openAt(place.root)
    {
      await using joined = await next.get(id('b'))
      expect(joined.path).toBe(left.path)
      expect(readFileSync(`${joined.path}/file`, 'utf8')).toBe('written before')
      expect(mountsAt(left.path)).toBe(1)
    }
    expect(mountsAt(left.path)).toBe(1)
    await next.put(id('b'))
    expect(mountsAt(left.path)).toBe(0)
    expect(existsSync(left.path)).toBe(false)
  })

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

  test('removing a layer takes a mount with it that an earlier process left', async () => {
    await using place = await openOn('tmpfs')
    await place.driver.create(id('a'))
    await place.driver.create(id('b'), { parent: id('a') })
    const left = await place.driver.get(id('b'))
    await using next = await openAt(place.root)
    await next.remove(id('b'))
    expect(mountsAt(left.path)).toBe(0)
    expect(readdirSync(homeOf(place.root)).toSorted()).toEqual(['a', 'l'])
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

  test('after a process was killed while it made and mounted layers, every layer is whole', async () => {
    await using place = await openOn('tmpfs')
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
    const home = homeOf(place.root)
    expect(readdirSync(home).filter((name) => name.startsWith('.'))).toEqual([])
    for await (const layer of next.layers()) {
      await using mount = await next.get(layer)
      expect(readdirSync(mount.path).length).toBeGreaterThanOrEqual(0)
    }
    for await (const layer of next.layers()) await next.remove(layer)
    expect(readdirSync(home)).toEqual(['l'])
    expect(readdirSync(path.join(home, 'l'))).toEqual([])
  })
})
