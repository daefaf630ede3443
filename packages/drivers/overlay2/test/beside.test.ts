/** Layers that are applied to while those below still are. */
import { setTimeout } from 'node:timers/promises'
import type { Driver, LayerId } from '@graphdriver/core'
import { inChunks, rawTar } from '@graphdriver/core/conformance'
import { compareTrees, need } from '@tooling/lab'
import { describe, expect, test } from 'vitest'
import { id, missing, openAt, openOn } from './open.ts'

const skipped = missing('ext4', 'tmpfs')

const base = rawTar(
  { name: './', type: '5', mode: 0o711 },
  { name: 'usr/', type: '5', mode: 0o750 },
  { name: 'usr/lib/', type: '5' },
  { name: 'usr/lib/a', data: 'a' },
  { name: 'lib', type: '2', link: 'usr/lib' },
)
/** All of it has to do with what is below: a directory that is only implied, a way through a link, a deletion. */
const child = rawTar(
  { name: 'own', data: 'own' },
  { name: 'usr/new', data: 'new' },
  { name: 'lib/b', data: 'b' },
  { name: 'usr/lib/.wh.a' },
)

async function makeBoth(
  driver: Driver,
  ...names: readonly [string, string]
): Promise<readonly [LayerId, LayerId]> {
  const [below, above] = [id(names[0]), id(names[1])]
  await driver.create(below)
  await driver.create(above, { parent: below })
  return [below, above]
}

describe.skipIf(skipped !== undefined)(`overlay2, side by side (${skipped ?? 'as root'})`, () => {
  test('what is below is not looked at before it is there, and the layer is what it is one after another', async () => {
    await using place = await openOn('ext4')
    const { driver } = place
    const [below, above] = await makeBoth(driver, 'below', 'above')
    const { promise, resolve } = Promise.withResolvers<void>()
    let isDone = false
    const applied = driver.applyBeside?.(above, below, inChunks(child), promise).then(() => (isDone = true))
    await setTimeout(200)
    expect([applied === undefined, isDone]).toEqual([false, false])
    await driver.applyDiff(below, undefined, inChunks(base))
    resolve()
    await applied

    const [first, second] = [id('first'), id('second')]
    await driver.create(first)
    await driver.applyDiff(first, undefined, inChunks(base))
    await driver.create(second, { parent: first })
    await driver.applyDiff(second, first, inChunks(child))
    await using expected = await driver.get(second)
    await using found = await driver.get(above)
    expect(await compareTrees(expected.path, found.path)).toEqual([])
    expect(await driver.changes(above, below)).toEqual(await driver.changes(second, first))
  })

  test('when the layers below fail, so does this one, and nothing is waited for', async () => {
    await using place = await openOn('ext4')
    const { driver } = place
    const [below, above] = await makeBoth(driver, 'below', 'above')
    const { promise, reject } = Promise.withResolvers<void>()
    const applied = driver.applyBeside?.(above, below, inChunks(child), promise)
    const reason = new Error('the layer below failed')
    reject(reason)
    await expect(applied).rejects.toBe(reason)
    await driver.remove(above)
    await driver.create(above, { parent: below })
    await driver.applyDiff(below, undefined, inChunks(base))
    await driver.applyDiff(above, below, inChunks(child))
  })

  test('an abort ends the wait', async () => {
    await using place = await openOn('ext4')
    const { driver } = place
    const [below, above] = await makeBoth(driver, 'below', 'above')
    const controller = new AbortController()
    const { signal } = controller
    const never = new Promise(() => undefined)
    const applied = driver.applyBeside?.(above, below, inChunks(child), never, { signal })
    setImmediate(() => controller.abort(new Error('enough')))
    await expect(applied).rejects.toThrow('enough')
  })

  test.skipIf(need({ command: 'fuse-overlayfs' }) !== undefined)(
    'is not offered where a layer is mounted to be applied to',
    async () => {
      await using place = await openOn('ext4')
      await using other = await openAt(`${place.root}/other`, { mount_program: 'fuse-overlayfs' })
      expect([place.driver.applyBeside === undefined, other.applyBeside === undefined]).toEqual([false, true])
    },
  )
})
