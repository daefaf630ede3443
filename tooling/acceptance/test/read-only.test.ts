/** A data root on a filesystem that takes no writes: what was kept, or what is to be looked into and not touched. */
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import {
  debianImage,
  debianImageRequirements,
  filesystem,
  type LabImage,
  need,
  temporaryDirectory,
} from '@tooling/lab'
import { execa } from 'execa'
import { beforeAll, expect, test } from 'vitest'
import { enginePlaces } from '../src/engine-places.ts'
import { type Place, graphdriver } from '../src/graphdriver.ts'

const missing = need(...debianImageRequirements)
let image: LabImage

beforeAll(async () => {
  if (missing === undefined) image = await debianImage()
})

/** All that is told of an image and a container of it. */
async function looks(place: Place, ...how: readonly string[]): Promise<readonly string[]> {
  const { reference } = image
  const told: string[] = []
  for (const look of [['images'], ['layers', reference], ['inspect', 'box'], ['changes', 'box']])
    told.push(await graphdriver(place, ...how, ...look))
  await using scratch = await temporaryDirectory()
  // Of a whole image each layer is verified against its DiffID.
  for (const tree of ['box', reference]) {
    const tar = path.join(scratch.path, 'tar')
    await graphdriver(place, ...how, 'diff', '--output', tar, tree)
    told.push((await execa('sha256sum', [tar])).stdout.slice(0, 64))
  }
  return told
}

test.for(enginePlaces)(
  '%s on %s that is mounted read-only is read (as root)',
  async ([driver, kind], { skip }) => {
    skip(missing !== undefined, missing)
    await using own = await filesystem(kind, { sizeMiB: 6144, storage: 'memory' })
    const place: Place = { root: path.join(own.path, 'root'), driver }
    await graphdriver(place, 'load', image.dockerArchive)
    const mounted = await graphdriver(place, 'mount', image.reference, '--name', 'box')
    await writeFile(path.join(mounted, 'written'), 'written')
    await graphdriver(place, 'unmount', 'box')
    const expected = await looks(place)
    const remount = (how: string): Promise<unknown> => execa('mount', ['-o', `remount,${how}`, own.path])
    await remount('ro')
    try {
      expect(await looks(place, '--read-only')).toEqual(expected)
      await expect(graphdriver(place, '--read-only', 'rm', 'box')).rejects.toThrow(/GD_READ_ONLY/)
    } finally {
      await remount('rw')
    }
  },
)
