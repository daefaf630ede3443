import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { isGraphDriverError } from '@graphdriver/core'
import { readMountTable } from '@graphdriver/sys'
import { need } from '@tooling/lab'
import { describe, expect, test } from 'vitest'
import { homeOf, id, makeLayer, missing, openAt, openOn } from './open.ts'

const skipped = missing('ext4', 'tmpfs')
const many = Array.from({ length: 64 }, (_, index) => index)

describe.skipIf(skipped !== undefined)(`overlay2 used by many (${skipped ?? 'as root'})`, () => {
  test('64 layers are made, mounted, written, unmounted and removed at the same time', async () => {
    await using place = await openOn('ext4')
    const { driver } = place
    await makeLayer(driver, 'base', undefined, (root) => writeFileSync(`${root}/file`, 'base'))
    await Promise.all(
      many.map(async (index) => {
        const layer = id(`layer-${index}`)
        await driver.create(layer, { parent: id('base') })
        {
          await using mount = await driver.get(layer)
          writeFileSync(`${mount.path}/own`, String(index))
        }
        await using again = await driver.get(layer)
        expect(readFileSync(`${again.path}/own`, 'utf8')).toBe(String(index))
        expect(readFileSync(`${again.path}/file`, 'utf8')).toBe('base')
      }),
    )
    expect(await Array.fromAsync(driver.layers())).toHaveLength(65)
    await Promise.all(many.map((index) => driver.remove(id(`layer-${index}`))))
    expect(readdirSync(homeOf(place.root)).toSorted()).toEqual(['base', 'l'])
    expect(readdirSync(path.join(homeOf(place.root), 'l'))).toHaveLength(1)
  })

  test('of 64 who make the same layer, one does', async () => {
    await using place = await openOn('tmpfs')
    await using other = await openAt(place.root)
    const results = await Promise.allSettled(
      many.map((index) => (index % 2 === 0 ? place.driver : other).create(id('same'))),
    )
    const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []))
    expect(failures).toHaveLength(63)
    expect(failures.every((failure) => isGraphDriverError(failure, 'GD_LAYER_EXISTS'))).toBe(true)
    expect(readdirSync(homeOf(place.root)).toSorted()).toEqual(['l', 'same'])
    expect(readdirSync(path.join(homeOf(place.root), 'l'))).toHaveLength(1)
  })

  test('64 users of one layer share one mount, and none is left', async () => {
    await using place = await openOn('tmpfs')
    await place.driver.create(id('a'))
    await place.driver.create(id('b'), { parent: id('a') })
    const merged = path.join(homeOf(place.root), 'b/merged')
    const mounts = () => readMountTable().filter((entry) => entry.target === merged).length
    await Promise.all(
      many.map(async () => {
        await using mount = await place.driver.get(id('b'))
        expect(mount.path).toBe(merged)
        expect(mounts()).toBe(1)
      }),
    )
    expect(mounts()).toBe(0)
    expect(existsSync(merged)).toBe(false)
  })

  test('64 who remove one layer all succeed, mounted or not', async () => {
    await using place = await openOn('tmpfs')
    await place.driver.create(id('a'))
    await place.driver.create(id('b'), { parent: id('a') })
    await using _ = await place.driver.get(id('b'))
    await Promise.all(many.map(() => place.driver.remove(id('b'))))
    expect(readdirSync(homeOf(place.root)).toSorted()).toEqual(['a', 'l'])
  })

  test('processes that mount the same layers at the same moment make one mount of each', async () => {
    await using place = await openOn('tmpfs')
    const { driver } = place
    await driver.create(id('base'))
    for (const index of many) await driver.create(id(`layer-${index}`), { parent: id('base') })
    const program = path.join(import.meta.dirname, 'mount-all.ts')
    const children = Array.from({ length: 3 }, () =>
      spawn(process.execPath, [program, place.root], { stdio: ['pipe', 'pipe', 'inherit'] }),
    )
    await Promise.all(children.map((child) => once(child.stdout, 'data')))
    const ends = children.map((child) => once(child, 'exit'))
    for (const child of children) child.stdin.write('go')
    expect(await Promise.all(ends)).toEqual(children.map(() => [0, null]))
    const targets = readMountTable().flatMap((entry) => (entry.type === 'overlay' ? [entry.target] : []))
    const ours = targets.filter((target) => target.startsWith(`${place.root}/`))
    expect(new Set(ours).size).toBe(64)
    expect(ours).toHaveLength(64)
    for (const index of many) await driver.remove(id(`layer-${index}`))
  })

  test('while one process mounts a layer another waits, and then joins', async ({ skip }) => {
    const lacking = need({ command: 'flock', package: 'util-linux' })
    skip(lacking !== undefined, lacking)
    await using place = await openOn('tmpfs')
    await place.driver.create(id('a'))
    await place.driver.create(id('b'), { parent: id('a') })
    const home = homeOf(place.root)
    const merged = path.join(home, 'b/merged')
    // The other process goes on once the kernel lists this one as waiting, or sees that it did not wait.
    const script = `
      echo locked
      until grep -q -- "-> FLOCK.* ${process.pid} " /proc/locks || grep -q " ${merged} " /proc/self/mountinfo; do :; done
      mkdir -p ${merged}
      mount -t overlay -o lowerdir=${home}/a/diff,upperdir=${home}/b/diff,workdir=${home}/b/work other ${merged}`
    const other = spawn('flock', ['--no-fork', path.join(home, 'b/work'), 'sh', '-c', script])
    const ended = once(other, 'exit')
    await once(other.stdout, 'data')
    const mount = await place.driver.get(id('b'))
    await ended
    const mounts = readMountTable().filter((entry) => entry.target === merged)
    expect(mounts.map((entry) => entry.source)).toEqual(['other'])
    await mount[Symbol.asyncDispose]()
    expect(
      readMountTable().some((entry) => entry.target === merged),
      'it is the other’s to unmount',
    ).toBe(true)
    await place.driver.remove(id('b'))
  })
})
