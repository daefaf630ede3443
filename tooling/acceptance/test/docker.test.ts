/** The data root is Docker's: a daemon opens what we wrote, and we open what a daemon wrote. */
import { mkdir, writeFile } from 'node:fs/promises'
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
import { enginePlaces } from '../src/engine-places.ts'
import { type Place, graphdriver } from '../src/graphdriver.ts'
import { openStore } from '../src/open-store.ts'
import { returnedLayers } from '../src/returned-layers.ts'

const missing = need(...debianImageRequirements, { command: 'dockerd' }, { command: 'docker' })
/** No kernel of today, and so no dockerd of its own, has aufs. */
const drivers = enginePlaces.filter(([driver]) => driver !== 'aufs')
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
  'dockerd lists, runs and saves what we loaded: %j (root, docker.io)',
  async ([driver, kind], { skip }) => {
    skip(missing !== undefined, missing)
    await using own = await filesystem(kind, { sizeMiB: 4096, storage: 'memory' })
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
  'we list, run and give back what dockerd loaded: %j (root, docker.io)',
  async ([driver, kind], { skip }) => {
    skip(missing !== undefined, missing)
    await using own = await filesystem(kind, { sizeMiB: 4096, storage: 'memory' })
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

test.for(drivers)(
  'a container of dockerd’s is seen and changed by us, and goes on: %j (root, docker.io)',
  async ([driver, kind], { skip }) => {
    skip(missing !== undefined, missing)
    await using own = await filesystem(kind, { sizeMiB: 6144, storage: 'memory' })
    const place: Place = { root: path.join(own.path, 'root'), driver }
    await using state = await temporaryDirectory()
    const command = ['sh', '-c', 'cat /from-us /one; echo one > /one; rm -rf /srv']
    let container = ''
    {
      await using daemon = await startDocker(place, state.path)
      await daemon.docker('load', '--input', image.dockerArchive)
      container = await daemon.docker('create', '--network=none', '--name=box', image.reference, ...command)
      await daemon.docker('start', '--attach', 'box').catch(() => undefined)
      await daemon.docker('commit', 'box', 'committed')

      // While it lives we read what it has, and change nothing.
      for (const how of [[], ['--read-only']]) {
        expect(await graphdriver(place, ...how, 'images')).toContain('committed')
        expect(await graphdriver(place, ...how, 'changes', container)).toMatch(/^A \/one$/m)
      }
      for (const change of [
        ['load', image.dockerArchive],
        ['mount', container],
        ['unmount', container],
        ['rm', container],
      ])
        await expect(graphdriver(place, ...change)).rejects.toThrow(
          /in use by dockerd \(process \d+\).*GD_IN_USE/,
        )
    }
    const changes = (await graphdriver(place, 'changes', container)).split('\n')
    expect(changes).toEqual(expect.arrayContaining(['A /one', 'D /srv']))
    expect(await graphdriver(place, 'run', 'committed', '--', 'cat', '/one')).toBe('one')
    const mounted = await graphdriver(place, 'mount', container)
    await writeFile(path.join(mounted, 'from-us'), 'from us\n')
    await graphdriver(place, 'unmount', container)
    {
      await using daemon = await startDocker(place, state.path)
      expect(await daemon.docker('start', '--attach', 'box')).toBe('from us\none')
      expect((await daemon.docker('diff', 'box')).split('\n')).toEqual(
        expect.arrayContaining(['A /from-us', 'A /one', 'D /srv']),
      )
      await daemon.docker('rm', 'box')
      await daemon.docker('rmi', '--force', 'committed', image.reference)
    }
    expect(await graphdriver(place, 'layers')).not.toMatch(/sha256:/)
  },
)
