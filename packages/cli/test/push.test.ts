/** Images that are made here go out: into files, and to a real registry. */
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import {
  faultyProxy,
  need,
  type ProxyFault,
  type Registry,
  registryRequirements,
  registryUser,
  startRegistry,
  temporaryDirectory,
} from '@tooling/lab'
import { execa } from 'execa'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type DataRoot, demoRoot, emptyRoot } from './data-root.ts'
import { demoName, graphdriver, succeed } from './graphdriver.ts'

const missing = need(...registryRequirements, { root: true, kernelFilesystem: 'overlay' })
const at = (root: DataRoot): readonly string[] => ['--root', root.path]

/** The demo image, and one that a container was made into. */
async function committed(): Promise<DataRoot> {
  const root = await demoRoot()
  const mounted = (await succeed([...at(root), 'mount', demoName, '--name', 'box'])).trim()
  writeFileSync(path.join(mounted, 'made'), 'in a container')
  await succeed([...at(root), 'unmount', 'box'])
  await succeed([
    ...at(root),
    'commit',
    'box',
    'my/image:v1',
    '--author',
    'somebody',
    '--message',
    'a file more',
  ])
  return root
}

describe.skipIf(missing !== undefined)(`commit, tag, save and push (${missing ?? 'as root'})`, () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>
  let registry: Registry

  beforeAll(async () => {
    directory = await temporaryDirectory()
    registry = await startRegistry(path.join(directory.path, 'open'))
  })

  afterAll(async () => {
    await registry[Symbol.asyncDispose]()
    await directory[Symbol.asyncDispose]()
  })

  test('what is committed has one layer and one line of history more, and runs on', async () => {
    await using root = await committed()
    const { images } = JSON.parse(await succeed([...at(root), '--json', 'images'])) as {
      readonly images: readonly { readonly names: readonly string[]; readonly layers: number }[]
    }
    const layersOf = (name: string): number => images.find(({ names }) => names.includes(name))?.layers ?? 0
    expect(layersOf('my/image:v1')).toBe(layersOf(demoName) + 1)
    const { config } = JSON.parse(await succeed([...at(root), 'inspect', 'my/image:v1'])) as {
      readonly config: { readonly history: readonly object[]; readonly author: string }
    }
    expect(config.author).toBe('somebody')
    expect(config.history.at(-1)).toMatchObject({ created_by: 'graphdriver commit', comment: 'a file more' })
    const mounted = (await succeed([...at(root), 'mount', 'my/image:v1', '--name', 'next'])).trim()
    expect((await execa('cat', [path.join(mounted, 'made')])).stdout).toBe('in a container')
    await succeed([...at(root), 'unmount', 'next'])
    expect(await succeed([...at(root), 'check', '--full'])).toContain('nothing is damaged')
    expect(await succeed([...at(root), 'gc', '--dry-run'])).toBe('0 things to delete\n')
  })

  test('a name moves, and what is no name is refused with nothing changed', async () => {
    await using root = await committed()
    await succeed([...at(root), 'tag', 'my/image:v1', demoName, 'also'])
    expect(await succeed([...at(root), 'images'])).toMatch(/also:latest.*\n.*graphdriver\/demo:latest/)
    for (const args of [
      ['tag', 'my/image:v1', 'UPPER'],
      ['commit', 'box', 'UPPER'],
      ['commit', 'nobody', 'x'],
      ['tag', 'nobody', 'x'],
    ])
      expect((await graphdriver([...at(root), ...args])).code).toBe(1)
    expect(await succeed([...at(root), 'gc', '--dry-run'])).toBe('0 things to delete\n')
  })

  test('a saved image is the same on another driver, to the byte, and skopeo reads it', async () => {
    await using root = await committed()
    const file = path.join(root.scratch, 'saved.tar')
    await succeed([...at(root), 'save', demoName, 'my/image:v1', '-o', file])
    await using other = await emptyRoot()
    expect(await succeed([...at(other), '--driver', 'vfs', 'load', file])).toContain('my/image:v1')
    const again = path.join(root.scratch, 'again.tar')
    await succeed([...at(other), 'save', demoName, 'my/image:v1', '-o', again])
    await execa('cmp', [file, again])
    for (const source of [`docker-archive:${file}:my/image:v1`, `oci-archive:${file}:v1`]) {
      const { stdout } = await execa('skopeo', ['inspect', '--config', source])
      expect(stdout).toContain('graphdriver commit')
    }
    expect((await graphdriver([...at(root), 'save', 'nobody'])).code).toBe(1)
  })

  test('what is pushed comes back the same, and a second time nothing is sent', async () => {
    await using root = await committed()
    const name = `${registry.host}/some/image:v1`
    expect(await succeed([...at(root), 'push', '--plain-http', 'my/image:v1', name])).toMatch(
      /^pushed .* \(5 layers\)\n$/,
    )
    expect(await succeed([...at(root), 'push', '--plain-http', 'my/image:v1', name])).toContain(
      '(5 layers, 0 new)',
    )
    const { stdout } = await execa('skopeo', ['inspect', '--tls-verify=false', `docker://${name}`])
    expect((JSON.parse(stdout) as { readonly Layers: readonly string[] }).Layers.length).toBe(5)
    await using other = await emptyRoot()
    await succeed([...at(other), '--driver', 'vfs', 'pull', '--plain-http', name])
    const id = async (one: DataRoot, word: string): Promise<string> =>
      (JSON.parse(await succeed([...at(one), 'inspect', word])) as { readonly id: string }).id
    expect(await id(other, name)).toBe(await id(root, 'my/image:v1'))
  })

  test.each<readonly [string, (path: string, method: string) => boolean, ProxyFault]>([
    ['busy', () => true, { kind: 'status', status: 503 }],
    ['gone when a blob has been sent', (file) => file.includes('digest='), { kind: 'drop', bytes: 0 }],
    ['busy when a blob has been sent', (file) => file.includes('digest='), { kind: 'status', status: 500 }],
  ])(
    'a registry that is %s for a moment has the image in the end',
    async (what, isMet, fault) => {
      await using root = await committed()
      let met = 0
      await using proxy = await faultyProxy(registry.host, (file, method) =>
        isMet(file, method) && met++ < 2 ? fault : undefined,
      )
      const name = `faulty/${what.replaceAll(' ', '-')}:v1`
      await succeed([...at(root), 'push', '--plain-http', 'my/image:v1', `${proxy.host}/${name}`])
      expect(met).toBeGreaterThan(2)
      await using other = await emptyRoot()
      await succeed([...at(other), '--driver', 'vfs', 'pull', '--plain-http', `${registry.host}/${name}`])
      expect(await succeed([...at(other), 'check', '--full'])).toContain('nothing is damaged')
    },
    120_000,
  )

  test('one that does not know us is told of, with what to do', async () => {
    await using root = await committed()
    await using private_ = await startRegistry(path.join(root.scratch, 'private'), true)
    const { code, stderr } = await graphdriver([
      ...at(root),
      'push',
      '--plain-http',
      'my/image:v1',
      `${private_.host}/x:v1`,
    ])
    expect([code, stderr]).toEqual([1, expect.stringContaining(`docker login ${private_.host}`)])
    const config = path.join(root.scratch, 'config.json')
    const auth = Buffer.from(`${registryUser.username}:${registryUser.password}`).toString('base64')
    writeFileSync(config, JSON.stringify({ auths: { [private_.host]: { auth } } }))
    const env = { DOCKER_CONFIG: root.scratch }
    await succeed([...at(root), 'push', '--plain-http', 'my/image:v1', `${private_.host}/x:v1`], { env })
  })
})
