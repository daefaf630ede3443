/**
 * A load that is killed, at whatever moment, costs nothing but itself: the store opens, what it lists is whole,
 * nothing stays mounted, and the same image loads afterwards.
 */
import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { debianImage, debianImageRequirements, filesystem, need } from '@tooling/lab'
import { expect, test } from 'vitest'
import { firstDifference } from '../src/byte-comparison.ts'
import { type Place, graphdriver, start } from '../src/graphdriver.ts'
import { mountsBelow } from '../src/mounts.ts'
import { openStore } from '../src/open-store.ts'

interface Moment {
  readonly name: string
  /** Whether a layer is under way, which the drivers make in different ways. */
  readonly within: boolean
  readonly reached: (records: string, root: string) => boolean
}

/** What `graphdriver images --json` prints, as far as it matters here. */
interface Images {
  readonly images: readonly { readonly layers: number }[]
}

function count(directory: string): number {
  return existsSync(directory) ? readdirSync(directory).length : 0
}

function complete(records: string): number {
  return count(path.join(records, 'layerdb/sha256'))
}

function begun(records: string): number {
  return count(path.join(records, 'layerdb/tmp'))
}

/** Told by what is on disk, so that each is hit on a fast machine and on a slow one. */
const moments: readonly Moment[] = [
  { name: 'as soon as the root exists', within: false, reached: (_, root) => existsSync(root) },
  { name: 'in the first layer', within: true, reached: (records) => begun(records) > 0 },
  { name: 'after the first layer', within: false, reached: (records) => complete(records) > 0 },
  {
    name: 'in the second layer',
    within: true,
    reached: (records) => complete(records) === 1 && begun(records) > 0,
  },
  {
    name: 'in a later layer',
    within: true,
    reached: (records) => complete(records) >= 3 && begun(records) > 0,
  },
  { name: 'after the last layer', within: false, reached: (records) => complete(records) === 6 },
]

const combinations = [
  ...moments.map((moment) => ({ driver: 'overlay2', moment })),
  ...moments.filter(({ within }) => within).map((moment) => ({ driver: 'vfs', moment })),
]
const missing = need(...debianImageRequirements)

async function killAt(moment: Moment, place: Place, source: string): Promise<string | undefined> {
  const records = path.join(place.root, 'image', place.driver)
  const loading = start(place, 'load', source)
  let ended = false
  const end = loading.finally(() => {
    ended = true
  })
  while (!ended && !moment.reached(records, place.root)) await pause(1)
  loading.kill('SIGKILL')
  return (await end).signal
}

test.for(combinations)(
  'a load killed $moment.name can be repeated: $driver (root)',
  async ({ driver, moment }, { skip }) => {
    skip(missing !== undefined, missing)
    const image = await debianImage()
    await using own = await filesystem('xfs')
    const place: Place = { root: path.join(own.path, 'root'), driver }

    expect(await killAt(moment, place, image.dockerArchive)).toBe('SIGKILL')
    expect(mountsBelow(own.path)).toEqual([])
    const { images }: Images = JSON.parse(await graphdriver(place, 'images', '--json'))
    {
      await using store = await openStore(place)
      // The image comes last: when it is there, all of it is.
      expect(images.every(({ layers }) => layers === store.layers.layers().length)).toBe(true)
      for (const { chainId, diffId } of store.layers.layers()) {
        await using layer = await store.layers.get(chainId)
        const original = image.layers.find((candidate) => candidate.diffId === diffId)
        expect(await firstDifference(layer.tar(), original?.path ?? 'no such layer')).toBeUndefined()
      }
    }
    await graphdriver(place, 'load', image.dockerArchive)
    const output = await graphdriver(place, 'run', image.reference, '--', 'python3', '-c', 'print(1)')
    expect(output).toBe('1')
    {
      await using store = await openStore(place)
      expect(store.layers.layers()).toHaveLength(image.layers.length)
      expect(await store.layers.orphans()).toEqual([])
    }
    expect(mountsBelow(own.path)).toEqual([])
  },
)
