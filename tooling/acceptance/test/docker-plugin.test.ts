/** Real dockerd keeps its images and containers in our drivers, by way of `graphdriver docker-plugin`. */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import {
  debianImage,
  debianImageRequirements,
  filesystem,
  type LabImage,
  need,
  temporaryDirectory,
  boundRoot,
  type Docker,
  startDocker,
} from '@tooling/lab'
import { beforeAll, describe, expect, test } from 'vitest'
import { startPlugin } from '../src/docker-plugin.ts'
import { enginePlaces } from '../src/engine-places.ts'
import { mountsBelow } from '../src/mounts.ts'

const missing = need(...debianImageRequirements, { command: 'dockerd' }, { command: 'docker' })
let image: LabImage

beforeAll(async () => {
  if (missing === undefined) image = await debianImage()
})

const dockerfile = (base: string): string => `
FROM ${base}
RUN echo one > /one && ln /one /also-one && rm -rf /usr/share/doc
COPY file /copied
RUN mkdir -m 1777 /open && mv /one /open/one && chown 7:8 /copied
`

/** What a container does; `docker diff` is to say the same of it with every driver. */
const deeds = [
  'mkdir -p /made/of && echo new > /made/of/file',
  'rm -r /etc/apt',
  'echo more >> /etc/hosts.deny; echo more >> /etc/passwd',
  'chmod 700 /var/cache',
  'rm /copied && mkdir /copied && touch /copied/inside',
  'rm -rf /open && mkdir /open && touch /open/again',
  'ln -s nowhere /root/link && ln /etc/group /etc/group-too',
].join(' && ')

/** Builds an image in steps, from nothing but what is there. */
async function build({ docker }: Docker, context: string): Promise<void> {
  mkdirSync(context)
  writeFileSync(path.join(context, 'Dockerfile'), dockerfile(image.reference))
  writeFileSync(path.join(context, 'file'), 'from the context')
  await docker('build', '--network=none', '--tag', 'built', context)
}

async function startBox({ docker }: Docker): Promise<void> {
  await docker('run', '--detach', '--network=none', '--name', 'box', 'built', 'sleep', '1000')
  await docker('exec', 'box', 'sh', '-c', deeds)
}

/** A test that fails leaves no container running. */
async function withDaemon(
  start: () => Promise<Docker>,
  action: (daemon: Docker) => Promise<void>,
): Promise<void> {
  await using daemon = await start()
  try {
    await action(daemon)
  } catch (error) {
    await daemon.docker('rm', '--force', 'box').catch(() => undefined)
    throw error
  }
}

async function changesOfBox({ docker }: Docker): Promise<readonly string[]> {
  return (await docker('diff', 'box')).split('\n').toSorted()
}

/** What dockerd's own overlay2 says of the same. */
async function referenceChanges(): Promise<readonly string[]> {
  await using own = await filesystem('ext4', { sizeMiB: 4096, storage: 'memory' })
  await using state = await temporaryDirectory()
  await using daemon = await startDocker(
    { root: path.join(own.path, 'root'), driver: 'overlay2' },
    state.path,
  )
  await daemon.docker('load', '--input', image.dockerArchive)
  await build(daemon, path.join(own.path, 'context'))
  await startBox(daemon)
  const changes = await changesOfBox(daemon)
  await daemon.docker('rm', '--force', 'box')
  return changes
}

/** The driver's own directory, named after the plugin; what of it is there when all layers are gone. */
function layersLeft(home: string): readonly string[] {
  const layers = ['', 'dir', 'subvolumes', 'diff', 'layers', 'mnt'].map((name) => path.join(home, name))
  return layers
    .filter((directory) => existsSync(directory))
    .flatMap((directory) => readdirSync(directory))
    .filter((name) => /^[0-9a-f]{64}/.test(name))
}

describe.skipIf(missing !== undefined)(`docker-plugin (${missing ?? 'root, docker.io'})`, () => {
  let reference: readonly string[]

  beforeAll(async () => {
    reference = await referenceChanges()
  })

  test.for(enginePlaces)(
    'dockerd builds, runs, commits and removes on the plugin of %s',
    async ([driver, kind]) => {
      await using own = await filesystem(kind, { sizeMiB: 6144, storage: 'memory' })
      await using state = await temporaryDirectory()
      await using plugin = await startPlugin(driver, `graphdriver-test-${driver}`)
      const root = path.join(own.path, 'root')
      using _ = boundRoot(root)
      const start = (): Promise<Docker> =>
        startDocker({ root, driver: plugin.name }, state.path, '--experimental', '--live-restore')
      await withDaemon(start, async (daemon) => {
        const { docker } = daemon
        expect(await docker('info', '--format', '{{.Driver}}')).toBe(plugin.name)
        await docker('load', '--input', image.dockerArchive)
        expect(
          await docker('run', '--rm', '--network=none', image.reference, 'python3', '-c', 'print(1)'),
        ).toBe('1')
        await build(daemon, path.join(own.path, 'context'))
        await startBox(daemon)
        expect(await changesOfBox(daemon)).toEqual(reference)
        await docker('commit', 'box', 'committed')
        const look = 'cat /made/of/file; ls /copied /open; test ! -e /etc/apt && stat -c %a /var/cache'
        const seen = await docker('run', '--rm', '--network=none', 'committed', 'sh', '-c', look)
        expect(seen.split('\n')).toEqual(['new', '/copied:', 'inside', '', '/open:', 'again', '700'])
      })
      // dockerd has ended, and the container runs on.
      await withDaemon(start, async (daemon) => {
        const { docker } = daemon
        expect(await docker('exec', 'box', 'cat', '/made/of/file')).toBe('new')
        await docker('exec', 'box', 'sh', '-c', 'echo later > /later')
        expect(await changesOfBox(daemon)).toEqual([...reference, 'A /later'].toSorted())
        // The plugin is started again under it, too.
        await plugin.kill('SIGKILL')
        await using _again = await startPlugin(driver, plugin.name)
        expect(await docker('exec', 'box', 'cat', '/later')).toBe('later')
        expect(await docker('run', '--rm', '--network=none', 'committed', 'cat', '/made/of/file')).toBe('new')
        await docker('rm', '--force', 'box')
        await docker('rmi', '--force', 'committed', 'built', image.reference)
        await docker('image', 'prune', '--force')
        expect(layersLeft(path.join(root, plugin.name))).toEqual([])
      })
      expect(mountsBelow(path.join(root, plugin.name))).toEqual([])
    },
  )

  test.for(['overlay2', 'vfs'])(
    'a plugin of %s that is killed while it unpacks costs that load, and the next succeeds',
    async (driver) => {
      await using own = await filesystem('ext4', { sizeMiB: 6144, storage: 'memory' })
      await using state = await temporaryDirectory()
      const name = `graphdriver-test-killed-${driver}`
      const root = path.join(own.path, 'root')
      using _ = boundRoot(root)
      const home = path.join(root, name)
      const first = await startPlugin(driver, name)
      await using daemon = await startDocker({ root, driver: name }, state.path, '--experimental')
      const load = daemon.docker('load', '--input', image.dockerArchive).catch(String)
      await expect.poll(() => layersLeft(home).length, { interval: 5, timeout: 60_000 }).toBeGreaterThan(0)
      await first.kill('SIGKILL')
      await using _again = await startPlugin(driver, name)
      expect(await load).toMatch(/Error/)
      await daemon.docker('load', '--input', image.dockerArchive)
      const print = ['python3', '-c', 'print(1)']
      expect(await daemon.docker('run', '--rm', '--network=none', image.reference, ...print)).toBe('1')
      await daemon.docker('rmi', '--force', image.reference)
      expect(layersLeft(home)).toEqual([])
      expect(mountsBelow(home)).toEqual([])
    },
  )
})
