/** That dockerd and the layer store read each other's data roots. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { chainIdOf, digestHex, digestOf } from '@graphdriver/core'
import { findCommand } from '@graphdriver/sys'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { dockerInitLayer } from '../src/index.ts'
import { candidates, DataRoot, layerIds } from './data-root.ts'
import { DockerDaemon } from './docker-daemon.ts'
import { bytesOf, diffIdOf, stream, tar } from './tar-file.ts'

const layers = [
  tar(
    { name: 'etc/' },
    { name: 'etc/motd', content: 'hi\n' },
    { name: 'bin/' },
    { name: 'bin/sh', mode: 0o755 },
  ),
  tar({ name: 'etc/' }, { name: 'etc/.wh.motd', mode: 0o600 }, { name: 'etc/new', content: 'new\n' }),
]
const config = Buffer.from(
  JSON.stringify({
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    os: 'linux',
    config: { Cmd: ['/bin/sh'] },
    rootfs: { type: 'layers', diff_ids: layers.map(diffIdOf) },
  }),
)
const image = digestOf(config)
const archive = tar(
  { name: `${digestHex(image)}.json`, content: config },
  ...layers.map((content, index) => ({ name: `${index}.tar`, content })),
  {
    name: 'manifest.json',
    content: JSON.stringify([
      {
        Config: `${digestHex(image)}.json`,
        RepoTags: ['interop:latest'],
        Layers: layers.map((_, index) => `${index}.tar`),
      },
    ]),
  },
)
const top = chainIdOf(layers.map(diffIdOf))

/** Why there is no dockerd to compare with, for the title of the tests; empty if there is one. */
async function missingDocker(): Promise<string> {
  if (process.geteuid?.() !== 0) return ' (skipped: needs root)'
  if (findCommand('dockerd') === undefined) return ' (skipped: dockerd is not installed)'
  const root = mkdtempSync(path.join(tmpdir(), 'gd-docker-'))
  try {
    await using docker = await DockerDaemon.start(root, 'vfs')
    await docker.call('GET', '/_ping')
    return ''
  } catch (error) {
    return ` (skipped: dockerd does not start here: ${String(error).slice(-200)})`
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

const missing = await missingDocker()

// No kernel of today, and so no dockerd here, has aufs.
for (const { name, definition, skipped, reason } of (await candidates()).filter(
  (found) => found.name !== 'aufs',
)) {
  describe.skipIf(skipped || missing !== '')(
    `dockerd and the layer store on ${name}${reason}${missing}`,
    () => {
      let root: DataRoot

      beforeEach(() => {
        root = new DataRoot(definition)
      })

      afterEach(async () => {
        await root[Symbol.asyncDispose]()
      })

      it('share a root that dockerd made', async () => {
        {
          await using docker = await DockerDaemon.start(root.path, name)
          await docker.call('POST', '/images/load', archive, 'application/x-tar')
          await docker.call('POST', '/containers/create?name=theirs', Buffer.from('{"Image":"interop"}'))
        }
        const store = await root.store()
        expect(store.skipped).toEqual([])
        expect(store.layers().map((layer) => layer.diffId)).toEqual(layers.map(diffIdOf))
        for (const [index, { chainId }] of store.layers().entries()) {
          expect(await bytesOf((await store.get(chainId)).tar())).toEqual(layers[index])
        }
        const [container] = store.writableLayers()
        expect(container).toMatchObject({ parent: top, initId: `${container?.mountId}-init` })
        expect(await (await store.getRWLayer(container?.name ?? '')).changes()).toEqual([])
        expect(await store.orphans()).toEqual([])

        // The same layers in a root of our own have the same sizes.
        await using own = new DataRoot(definition)
        const mine = await own.store()
        const first = await mine.register(stream(layers[0] ?? Buffer.alloc(0)), undefined)
        await mine.register(stream(layers[1] ?? Buffer.alloc(0)), first.chainId)
        const sizes = (from: typeof store): readonly number[] => from.layers().map((layer) => layer.diffSize)
        expect(sizes(mine)).toEqual(sizes(store))
      })

      it('share a root that the layer store made', async () => {
        const cacheIds: string[] = []
        {
          const store = await root.store({ durability: 'safe' })
          let parent
          for (const bytes of layers) {
            const layer = await store.register(stream(bytes), parent)
            cacheIds.push(layer.cacheId)
            parent = layer.chainId
          }
          await store.createRWLayer('ours', parent, { init: dockerInitLayer })
          await store[Symbol.asyncDispose]()
        }
        {
          await using docker = await DockerDaemon.start(root.path, name)
          await docker.call('POST', '/images/load', archive, 'application/x-tar')
          const saved = await docker.call('GET', '/images/interop/get')
          for (const bytes of layers) expect(saved.includes(bytes)).toBe(true)
          await docker.call('POST', '/containers/create?name=theirs', Buffer.from('{"Image":"interop"}'))
        }
        const store = await root.store()
        // dockerd used the layers that were there.
        expect(store.layers().map((layer) => layer.cacheId)).toEqual(cacheIds)
        expect(store.writableLayers()).toHaveLength(2)
        expect(await layerIds(store.driver)).toHaveLength(cacheIds.length + 4)
        expect(await store.orphans()).toEqual([])
      })
    },
  )
}
