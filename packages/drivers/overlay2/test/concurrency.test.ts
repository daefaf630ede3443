import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { readMountTable } from '@graphdriver/sys'
import { need } from '@tooling/lab'
import { describe, expect, test } from 'vitest'
import { homeOf, id, missing, openOn } from './open.ts'

const skipped = missing('ext4', 'tmpfs')
const many = Array.from({ length: 64 }, (_, index) => index)

describe.skipIf(skipped !== undefined)(`overlay2 used by many (${skipped ?? 'as root'})`, () => {
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
