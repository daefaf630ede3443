/** The data root is Docker's: a daemon opens what we wrote, and we open what a daemon wrote. */
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import {
  type LabImage,
  debianImage,
  debianImageRequirements,
  filesystem,
  need,
  temporaryDirectory,
} from '@tooling/lab'
import { execa } from 'execa'
import { beforeAll, expect, test } from 'vitest'
import { startDocker } from '../src/dockerd.ts'
import { type Place, graphdriver } from '../src/graphdriver.ts'
import { openStore } from '../src/open-store.ts'
import { returnedLayers } from '../src/returned-layers.ts'

const missing = need(...debianImageRequirements, { command: 'dockerd' }, { command: 'docker' })
const drivers = ['overlay2', 'vfs']
const python = ['python3', '-c', 'print(1)'] as const
/**
 * Docker's notes on a tar with a sparse file do not reproduce it: `docker save` of the image that it has just loaded
 * fails with "could not verify layer data", and so must we.
 */
const sparse = '03-special'
let image: LabImage

beforeAll(async () => {
  if (missing === undefined) image = await debianImage()
})

/** The DiffIDs of a `docker save` archive, by hashing the layers in it. */
async function savedLayers(archive: string, scratch: string): Promise<readonly string[]> {
  await mkdir(scratch)
  await execa('tar', ['--extract', `--file=${archive}`, `--directory=${scratch}`])
  const { stdout } = await execa('sh', ['-c', 'sha256sum -- */layer.tar'], { cwd: scratch })
  return stdout.split('\n').map((line) => `sha256:${line.slice(0, 64)}`)
}

test.for(drivers)(
  'dockerd lists, runs and saves what we loaded: %s (root, docker.io)',
  async (driver, { skip }) => {
    skip(missing !== undefined, missing)
    await using own = await filesystem('ext4', { sizeMiB: 4096, storage: 'memory' })
    const place: Place = { root: path.join(own.path, 'root'), driver }
    await graphdriver(place, 'load', image.dockerArchive)

    await using state = await temporaryDirectory()
    await using daemon = await startDocker(place, state.path)
    const [listed] = (
      await daemon.docker('images', '--no-trunc', '--format', '{{.Repository}}:{{.Tag}}')
    ).split('\n')
    expect(listed).toBe(image.reference)
    expect(await daemon.docker('run', '--rm', '--network=none', image.reference, ...python)).toBe('1')

    const saved = path.join(own.path, 'saved.tar')
    await daemon.docker('save', '--output', saved, image.reference)
    const found = await savedLayers(saved, path.join(own.path, 'saved'))
    expect(found.toSorted()).toEqual(image.layers.map(({ diffId }) => diffId).toSorted())
  },
)

test.for(drivers)(
  'we list, run and give back what dockerd loaded: %s (root, docker.io)',
  async (driver, { skip }) => {
    skip(missing !== undefined, missing)
    await using own = await filesystem('ext4', { sizeMiB: 4096, storage: 'memory' })
    const place: Place = { root: path.join(own.path, 'root'), driver }
    {
      await using state = await temporaryDirectory()
      await using daemon = await startDocker(place, state.path)
      await daemon.docker('load', '--input', image.dockerArchive)
    }
    expect(await graphdriver(place, 'images')).toContain(image.reference.split(':')[0])
    expect(await graphdriver(place, 'run', image.reference, '--', ...python)).toBe('1')
    await using store = await openStore(place)
    expect(await returnedLayers(store, image)).toEqual(
      image.layers.map(({ name }) => (name === sparse ? 'GD_LAYER_CORRUPT' : 'the same bytes')),
    )
  },
)
