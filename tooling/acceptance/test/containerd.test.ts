/** Real containerd keeps its snapshots in our drivers, by way of `graphdriver containerd-snapshotter`. */
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
import {
  debianImage,
  debianImageRequirements,
  filesystem,
  type LabImage,
  need,
  temporaryDirectory,
  type Containerd,
  snapshotter,
  startContainerd,
} from '@tooling/lab'
import { beforeAll, describe, expect, test } from 'vitest'
import { enginePlaces } from '../src/engine-places.ts'
import { mountsBelow } from '../src/mounts.ts'
import { startSnapshotter } from '../src/serving-process.ts'

const missing = need(...debianImageRequirements, { command: 'containerd' }, { command: 'ctr' })
const ours = ['--snapshotter', snapshotter] as const
/** runc keeps what it has by these names, in one place for all. */
const lasting = `lasting-${process.pid}`
const python = ['python3', '-c', 'print(1)'] as const
let image: LabImage

beforeAll(async () => {
  if (missing === undefined) image = await debianImage()
})

/** Of a table that ctr prints: the first column, without the heading. */
function column(table: string): readonly string[] {
  return table
    .split('\n')
    .slice(1)
    .map((line) => line.split(/\s+/)[0] ?? '')
    .filter((cell) => cell !== '')
}

async function snapshots({ ctr }: Containerd, namespace = 'default'): Promise<readonly string[]> {
  return column(await ctr('--namespace', namespace, 'snapshots', ...ours, 'ls'))
}

async function importImage({ ctr }: Containerd, namespace = 'default'): Promise<string> {
  await ctr('--namespace', namespace, 'images', 'import', ...ours, image.dockerArchive)
  const [reference = ''] = (await ctr('--namespace', namespace, 'images', 'ls', '--quiet')).split('\n')
  return reference
}

/** What is forgotten goes when containerd next collects its garbage, which happens when an image is removed. */
async function removeAll(
  { ctr }: Containerd,
  reference: string,
  ...namespaces: readonly string[]
): Promise<void> {
  for (const namespace of namespaces) await ctr('--namespace', namespace, 'images', 'rm', '--sync', reference)
}

describe.skipIf(missing !== undefined)(`containerd-snapshotter (${missing ?? 'root, containerd'})`, () => {
  test.for(enginePlaces)('containerd imports, runs and removes on %s', async ([driver, kind]) => {
    await using own = await filesystem(kind, { sizeMiB: 6144, storage: 'memory' })
    await using state = await temporaryDirectory()
    const root = path.join(own.path, 'root')
    const socket = path.join(state.path, 'snapshots.sock')
    const first = await startSnapshotter(driver, root, socket)
    let reference: string
    {
      await using containerd = await startContainerd(state.path, socket)
      const { ctr } = containerd
      reference = await importImage(containerd)
      expect(await snapshots(containerd)).toHaveLength(image.layers.length)
      expect(await ctr('run', '--rm', ...ours, reference, 'box', ...python)).toBe('1')

      // A second namespace has snapshots of its own, of the same layers.
      expect(await snapshots(containerd, 'other')).toEqual([])
      expect(await importImage(containerd, 'other')).toBe(reference)
      expect(await snapshots(containerd, 'other')).toEqual(await snapshots(containerd))

      const [top = ''] = (await snapshots(containerd)).toSorted()
      const usage = await ctr('snapshots', ...ours, 'usage')
      expect(column(usage).toSorted()).toEqual((await snapshots(containerd)).toSorted())
      expect(usage).toMatch(/MiB/)
      await ctr('snapshots', ...ours, 'prepare', 'own', top)
      await ctr('snapshots', ...ours, 'commit', 'own-committed', 'own')
      expect(await snapshots(containerd)).toContain('own-committed')
      await expect(ctr('snapshots', ...ours, 'rm', top)).rejects.toThrow(
        /has .*own-committed.* on it|with child/,
      )
      await ctr('snapshots', ...ours, 'rm', 'own-committed')

      await ctr('run', '--detach', ...ours, reference, lasting, 'sleep', '1000')
      await ctr('tasks', 'exec', '--exec-id', 'a', lasting, 'sh', '-c', 'echo kept > /kept; rm -r /etc/apt')
    }
    // Either side is started again, and the container runs on.
    await first.kill('SIGKILL')
    await using _ = await startSnapshotter(driver, root, socket)
    {
      await using containerd = await startContainerd(state.path, socket)
      const { ctr } = containerd
      expect(await ctr('tasks', 'exec', '--exec-id', 'b', lasting, 'cat', '/kept')).toBe('kept')
      expect(await containerd.diff(lasting)).toEqual(expect.arrayContaining(['kept', 'etc/.wh.apt']))
      await ctr('tasks', 'kill', '--signal', 'SIGKILL', lasting)
      for (let tries = 50; tries > 0; tries--) {
        if ((await ctr('tasks', 'ls')).includes('STOPPED')) break
        await setTimeout(100)
      }
      await ctr('tasks', 'rm', lasting)
      await ctr('containers', 'rm', lasting)
      await removeAll(containerd, reference, 'default', 'other')
      await expect.poll(() => snapshots(containerd), { timeout: 30_000 }).toEqual([])
      expect(await snapshots(containerd, 'other')).toEqual([])
    }
    expect(mountsBelow(root)).toEqual([])
  })

  test('a snapshotter that is killed while it unpacks costs that import, and the next succeeds', async () => {
    await using own = await filesystem('ext4', { sizeMiB: 6144, storage: 'memory' })
    await using state = await temporaryDirectory()
    const root = path.join(own.path, 'root')
    const socket = path.join(state.path, 'snapshots.sock')
    const first = await startSnapshotter('overlay2', root, socket)
    await using containerd = await startContainerd(state.path, socket)
    const failed = importImage(containerd).catch(String)
    await expect.poll(() => snapshots(containerd), { interval: 20, timeout: 60_000 }).not.toEqual([])
    await first.kill('SIGKILL')
    expect(await failed).toMatch(/Error/)
    await using _ = await startSnapshotter('overlay2', root, socket)
    const reference = await importImage(containerd)
    expect(await containerd.ctr('run', '--rm', ...ours, reference, 'box', ...python)).toBe('1')
    await removeAll(containerd, reference, 'default')
    await expect.poll(() => snapshots(containerd), { timeout: 30_000 }).toEqual([])
    await expect.poll(() => mountsBelow(root)).toEqual([])
  })
})
