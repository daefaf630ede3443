/** A root that is moved from driver to driver, by every ordered pair of them, and holds the same after each. */
import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { generatedImage } from '@tooling/lab'
import { execa } from 'execa'
import { program } from './graphdriver.ts'

/** All ordered pairs, each once, one after another: a closed walk. */
export function everyPair(drivers: readonly string[]): readonly (readonly [from: string, to: string])[] {
  const pairs: (readonly [string, string])[] = []
  for (const [index, one] of drivers.entries())
    for (const other of drivers.slice(index + 1)) pairs.push([one, other], [other, one])
  const left = new Set(pairs)
  const walk = (at: string): readonly (readonly [string, string])[] => {
    const steps: (readonly [string, string])[][] = []
    for (const pair of pairs) {
      if (pair[0] !== at || !left.delete(pair)) continue
      steps.push([pair, ...walk(pair[1])])
    }
    // Circuits at the same place, put together from the last on.
    return steps.toReversed().flat()
  }
  return walk(drivers[0] ?? '')
}

export interface Hop {
  readonly from: string
  readonly to: string
}

interface Printed {
  readonly images: readonly { readonly id: string; readonly names: readonly string[] }[]
}

/**
 * Loads an image with the first driver, writes to a container, and goes every way there is.
 *
 * @param onHop hears of each that was made
 * @param options words that the command needs where a driver is in use
 */
export async function migrateEverywhere(
  root: string,
  scratch: string,
  drivers: readonly string[],
  onHop: (hop: Hop) => void,
  options: Readonly<Record<string, readonly string[]>> = {},
): Promise<void> {
  let inUse: readonly string[] = drivers.slice(0, 1)
  const call = async (...args: readonly string[]): Promise<string> => {
    const own = inUse.flatMap((driver) => options[driver] ?? [])
    const { stdout } = await execa(process.execPath, [program, '--root', root, ...own, ...args], {
      stdin: 'ignore',
    })
    return stdout
  }
  const [first = ''] = drivers
  const image = await generatedImage(scratch, 'moved:latest', [
    [
      { name: 'etc/' },
      { name: 'etc/passwd', content: 'root:x:0:0::/:/bin/sh\n' },
      { name: 'bin/' },
      { name: 'bin/sh', content: 's'.repeat(9000), mode: 0o4755 },
      { name: 'bin/bash', link: { kind: 'hard', target: 'bin/sh' } },
      { name: 'lib', link: { kind: 'symbolic', target: 'usr/lib' } },
      { name: 'var/' },
      { name: 'var/old', content: 'old' },
      { name: 'var/cache/' },
      { name: 'var/cache/one', content: '1' },
    ],
    [
      { name: 'var/.wh.old', mode: 0 },
      { name: 'etc/passwd', content: 'changed\n' },
    ],
    [
      { name: 'var/cache/.wh..wh..opq', mode: 0 },
      { name: 'var/cache/two', content: '2' },
    ],
  ])
  await call('--driver', first, 'load', image)
  const mounted = (await call('--driver', first, 'mount', 'moved', '--name', 'box')).trim()
  writeFileSync(path.join(mounted, 'own'), 'own')
  writeFileSync(path.join(mounted, 'etc/passwd'), 'mine\n')
  rmSync(path.join(mounted, 'bin/sh'))
  await call('--driver', first, 'unmount', 'box')
  const state = async (): Promise<unknown> => {
    const { images } = JSON.parse(await call('--json', 'images')) as Printed
    return {
      images: images.map(({ id, names }) => ({ id, names })),
      changes: (await call('changes', 'box')).split('\n').toSorted(),
    }
  }
  const before = await state()
  for (const [from, to] of everyPair(drivers)) {
    inUse = [from, to]
    await call('migrate', '--from', from, '--to', to)
    inUse = [to]
    assert.deepEqual(await state(), before, `from ${from} to ${to}`)
    assert.match(await call('check', '--full'), /: nothing is damaged$/m)
    const place = (await call('mount', 'box')).trim()
    assert.equal(readFileSync(path.join(place, 'own'), 'utf8'), 'own')
    assert.equal(readFileSync(path.join(place, 'etc/passwd'), 'utf8'), 'mine\n')
    assert.equal(readFileSync(path.join(place, 'var/cache/two'), 'utf8'), '2')
    await call('unmount', 'box')
    inUse = [from, to]
    await call('migrate', '--finish')
    inUse = [to]
    assert.deepEqual(await state(), before, `from ${from} to ${to}, finished`)
    onHop({ from, to })
  }
}
