/** What a real daemon of Docker and this project make of each other's data roots; what does not agree throws. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { type LabImage, temporaryDirectory, type Docker, startDocker } from '@tooling/lab'
import { execa } from 'execa'
import { aufsRoot } from './aufs-root.ts'
import { type Place, graphdriver } from './graphdriver.ts'
import { openStore } from './open-store.ts'
import { returnedLayers } from './returned-layers.ts'

export interface Roots {
  readonly place: Place
  readonly image: LabImage
  /** A directory with room for the image, some times over. */
  readonly scratch: string
  /** Of dockerd. */
  readonly daemonOptions?: readonly string[] | undefined
}

const python = ['python3', '-c', 'print(1)'] as const
/**
 * Docker's notes on a tar with a sparse file do not reproduce it: `docker save` of the image that it has just loaded
 * fails with "could not verify layer data", and so must we.
 */
const sparse = '03-special'

async function withDaemon<T>(
  { place, daemonOptions = [] }: Roots,
  action: (daemon: Docker) => Promise<T>,
): Promise<T> {
  await using state = await temporaryDirectory()
  await using daemon = await startDocker(place, state.path, ...daemonOptions)
  return await action(daemon)
}

/** The DiffIDs of a `docker save` archive, by hashing the layers in it. */
async function savedLayers(archive: string, scratch: string): Promise<readonly string[]> {
  await mkdir(scratch)
  await execa('tar', ['--extract', `--file=${archive}`, `--directory=${scratch}`])
  const { stdout } = await execa('sh', ['-c', 'sha256sum -- */layer.tar'], { cwd: scratch })
  return stdout.split('\n').map((line) => `sha256:${line.slice(0, 64)}`)
}

/** dockerd lists, runs and saves what we loaded. */
export async function dockerServesOurs(roots: Roots): Promise<void> {
  const { place, image, scratch } = roots
  await graphdriver(place, 'load', image.dockerArchive)
  await withDaemon(roots, async ({ docker }) => {
    const listed = await docker('images', '--no-trunc', '--format', '{{.Repository}}:{{.Tag}}')
    assert.equal(listed.split('\n')[0], image.reference)
    assert.equal(await docker('run', '--rm', '--network=none', image.reference, ...python), '1')
    const saved = path.join(scratch, 'saved.tar')
    await docker('save', '--output', saved, image.reference)
    const found = await savedLayers(saved, path.join(scratch, 'saved'))
    assert.deepEqual(found.toSorted(), image.layers.map(({ diffId }) => diffId).toSorted())
  })
}

/** We list, run and give back, to the byte, what dockerd loaded. */
export async function weServeDockers(roots: Roots): Promise<void> {
  await loadByDocker(roots)
  await weServe(roots)
}

/** The same of what a daemon with aufs left, without a daemon with aufs. */
export async function weServeAufs(roots: Roots): Promise<void> {
  await loadByDocker({ ...roots, place: { ...roots.place, driver: 'overlay2' } })
  const place = await aufsRoot(
    { ...roots.place, driver: 'overlay2' },
    roots.image,
    path.join(roots.scratch, 'aufs'),
  )
  await weServe({ ...roots, place })
}

async function loadByDocker(roots: Roots): Promise<void> {
  await withDaemon(roots, ({ docker }) => docker('load', '--input', roots.image.dockerArchive))
}

async function weServe({ place, image }: Roots): Promise<void> {
  assert((await graphdriver(place, 'images')).includes(image.reference.split(':')[0] ?? ''))
  assert.equal(await graphdriver(place, 'run', image.reference, '--', ...python), '1')
  await using store = await openStore(place)
  for (const { cacheId, chainId } of store.layers.layers()) {
    await using layer = await store.driver.get(cacheId)
    assert(readdirSync(layer.path).length > 0, `${chainId} is shown empty`)
  }
  assert.deepEqual(
    await returnedLayers(store, image),
    image.layers.map(({ name }) => (name === sparse ? 'GD_LAYER_CORRUPT' : 'the same bytes')),
  )
}

/** A container of dockerd's is seen and changed by us, and goes on. */
export async function containerGoesOn(roots: Roots): Promise<void> {
  const { place, image } = roots
  const command = ['sh', '-c', 'cat /from-us /one; echo one > /one; rm -rf /srv']
  const container = await withDaemon(roots, async ({ docker }) => {
    await docker('load', '--input', image.dockerArchive)
    const id = await docker('create', '--network=none', '--name=box', image.reference, ...command)
    await docker('start', '--attach', 'box').catch(() => undefined)
    await docker('commit', 'box', 'committed')
    await onlyLookAt(place, image, id)
    return id
  })
  const changes = (await graphdriver(place, 'changes', container)).split('\n')
  for (const change of ['A /one', 'D /srv'])
    assert(changes.includes(change), `no ${change} in ${changes.join()}`)
  assert.equal(await graphdriver(place, 'run', 'committed', '--', 'cat', '/one'), 'one')
  const mounted = await graphdriver(place, 'mount', container)
  await writeFile(path.join(mounted, 'from-us'), 'from us\n')
  await graphdriver(place, 'unmount', container)
  await withDaemon(roots, async ({ docker }) => {
    assert.equal(await docker('start', '--attach', 'box'), 'from us\none')
    const told = (await docker('diff', 'box')).split('\n')
    for (const change of ['A /from-us', 'A /one', 'D /srv'])
      assert(told.includes(change), `no ${change} in ${told.join()}`)
    await docker('rm', 'box')
    await docker('rmi', '--force', 'committed', image.reference)
  })
  assert.doesNotMatch(await graphdriver(place, 'layers'), /sha256:/)
}

/** While a daemon lives we read what it has, and change nothing. */
async function onlyLookAt(place: Place, image: LabImage, container: string): Promise<void> {
  for (const how of [[], ['--read-only']]) {
    assert.match(await graphdriver(place, ...how, 'images'), /committed/)
    assert.match(await graphdriver(place, ...how, 'changes', container), /^A \/one$/m)
  }
  for (const change of [
    ['load', image.dockerArchive],
    ['mount', container],
    ['unmount', container],
    ['rm', container],
  ])
    await assert.rejects(graphdriver(place, ...change), /in use by dockerd \(process \d+\).*GD_IN_USE/)
}
