/** From a real registry, and from one behind a connection that does harm. */
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { constants } from 'node:os'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import {
  faultyProxy,
  generatedImage,
  need,
  type ProxyFault,
  type Registry,
  registryRequirements,
  registryUser,
  startRegistry,
  temporaryDirectory,
} from '@tooling/lab'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type DataRoot, emptyRoot } from './data-root.ts'
import { graphdriver, type Outcome, start, succeed } from './graphdriver.ts'

const missing = need(...registryRequirements)
const name = 'some/image:v1'

/** What does not compress, so that a blob has as many bytes as its files. */
const noise = (seed: string, length: number): string =>
  Array.from({ length: Math.ceil(length / 64) }, (_, index) =>
    createHash('sha256').update(`${seed}${index}`).digest('hex'),
  ).join('')

describe.skipIf(missing !== undefined)(`pull (${missing ?? 'docker-registry, skopeo'})`, () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>
  let registry: Registry
  let private_: Registry

  beforeAll(async () => {
    directory = await temporaryDirectory()
    const image = await generatedImage(directory.path, 'some/image:v1', [
      [{ name: 'a', content: noise('a', 400_000) }],
      [{ name: 'b', content: noise('b', 900_000) }],
      [{ name: '.wh.a', mode: 0 }],
    ])
    registry = await startRegistry(path.join(directory.path, 'open'))
    private_ = await startRegistry(path.join(directory.path, 'private'), true)
    for (const one of [registry, private_]) await one.put(`docker-archive:${image}`, name)
  })

  afterAll(async () => {
    await registry[Symbol.asyncDispose]()
    await private_[Symbol.asyncDispose]()
    await directory[Symbol.asyncDispose]()
  })

  const pull = (root: DataRoot, from: string, ...options: readonly string[]): Promise<Outcome> =>
    graphdriver([
      '--root',
      root.path,
      '--driver',
      'vfs',
      'pull',
      '--plain-http',
      ...options,
      `${from}/${name}`,
    ])

  /** Everything as it came, and nothing else. */
  async function expectWhole(root: DataRoot, from: string): Promise<void> {
    const at = ['--root', root.path, '--driver', 'vfs'] as const
    expect(await succeed([...at, 'images'])).toContain(`${from}/some/image:v1`)
    expect(await succeed([...at, 'check', '--full'])).toMatch(/checked 3 layers, .*: nothing is damaged\n$/)
    expect(await succeed([...at, 'gc', '--dry-run'])).toBe('0 things to delete\n')
  }

  /** Not even a root is made for an image that does not come. */
  function expectNothing(root: DataRoot): void {
    const image = path.join(root.path, 'image/vfs')
    const records = (what: string): readonly string[] =>
      existsSync(path.join(image, what)) ? readdirSync(path.join(image, what)) : []
    expect([records('layerdb/sha256'), records('imagedb/content/sha256'), records('layerdb/tmp')]).toEqual([
      [],
      [],
      [],
    ])
    const layers = path.join(root.path, 'vfs/dir')
    expect(existsSync(layers) ? readdirSync(layers) : []).toEqual([])
  }

  test('an image comes with its name, and a second time nothing is read', async () => {
    await using root = await emptyRoot()
    await using proxy = await faultyProxy(registry.host, () => undefined)
    const { code, stdout, stderr } = await pull(root, proxy.host)
    expect([code, stderr]).toEqual([0, expect.any(String)])
    expect(stdout).toMatch(/^pulled .*\/some\/image:v1 [0-9a-f]{12} \(3 layers, .*\)\n$/)
    await expectWhole(root, proxy.host)
    const before = proxy.asked.length
    expect((await pull(root, proxy.host)).stdout).toContain('(3 layers, 0 new,')
    expect(
      proxy.asked.slice(before).filter((line) => line.startsWith('GET') && line.includes('/blobs/')).length,
    ).toBe(1)
  })

  test.each<readonly [string, (path: string, method: string, count: number) => ProxyFault | undefined]>([
    [
      'connections that break in the middle of every blob',
      (file, _, count) =>
        file.includes('/blobs/') && count < 4 ? { kind: 'drop', bytes: 100_000 } : undefined,
    ],
    [
      'a registry that is busy, and says for how long',
      (_, __, count) =>
        count === 1 ? { kind: 'status', status: 429, headers: { 'retry-after': '0' } } : undefined,
    ],
    [
      'a registry that is down for a moment',
      (_, __, count) => (count < 3 ? { kind: 'status', status: 503 } : undefined),
    ],
    ['a slow connection', (file) => (file.includes('/blobs/') ? { kind: 'slow', pause: 5 } : undefined)],
  ])(
    '%s: the image comes all the same',
    async (_, choose) => {
      await using root = await emptyRoot()
      await using proxy = await faultyProxy(registry.host, choose)
      const { code, stderr } = await pull(root, proxy.host)
      expect([code, stderr]).toEqual([0, expect.any(String)])
      await expectWhole(root, proxy.host)
    },
    120_000,
  )

  describe('a pull that was interrupted', () => {
    const bigName = 'big/image:v1'
    const bigBytes = 6_000_000
    const cut = 1_500_000

    beforeAll(async () => {
      const place = path.join(directory.path, 'big')
      mkdirSync(place)
      const image = await generatedImage(place, bigName, [
        [{ name: 'first', content: noise('first', bigBytes) }],
        [{ name: 'second', content: noise('second', bigBytes) }],
      ])
      await registry.put(`docker-archive:${image}`, bigName)
    })

    const words = (root: DataRoot, from: string): readonly string[] => {
      const global = ['--root', root.path, '--driver', 'vfs', '--log-level', 'info']
      return [...global, 'pull', '--plain-http', `${from}/${bigName}`]
    }
    const isBlob = (file: string, method: string): boolean => method === 'GET' && file.includes('/blobs/')
    const keptAt = (root: DataRoot): string => path.join(root.path, '.graphdriver/downloads')
    const kept = (root: DataRoot): readonly string[] =>
      existsSync(keptAt(root)) ? readdirSync(keptAt(root)) : []
    const keptBytes = (root: DataRoot): number =>
      kept(root).reduce((sum, file) => sum + statSync(path.join(keptAt(root), file)).size, 0)

    /** A root in which a pull was cut off, and the bytes that are kept of it. */
    async function interrupted(root: DataRoot): Promise<number> {
      await using proxy = await faultyProxy(registry.host, (file, method, count) => {
        if (!isBlob(file, method)) return undefined
        return count > 1 ? { kind: 'status', status: 404 } : { kind: 'drop', bytes: cut }
      })
      const { code, stderr } = await graphdriver(words(root, proxy.host))
      expect([code, stderr]).toEqual([1, expect.stringContaining('pull again goes on from there')])
      expectNothing(root)
      return keptBytes(root)
    }

    /** Pulls from where nothing fails. @returns the bytes of blobs that came */
    async function again(root: DataRoot): Promise<{ readonly came: number; readonly stderr: string }> {
      await using proxy = await faultyProxy(registry.host, () => undefined)
      const { code, stderr } = await graphdriver(words(root, proxy.host))
      expect([code, stderr]).toEqual([0, expect.any(String)])
      expect(kept(root)).toEqual([])
      expect(await succeed(['--root', root.path, 'check', '--full'])).toMatch(
        /checked 2 layers, .*nothing is damaged/,
      )
      return { came: proxy.sent, stderr }
    }

    test('goes on from where it was, and keeps nothing when it is whole', async () => {
      await using root = await emptyRoot()
      const bytes = await interrupted(root)
      // What was under way between the two is lost.
      expect(bytes).toBeGreaterThan(1_000_000)
      const { came, stderr } = await again(root)
      expect(stderr).toMatch(/\d MB of .* had come before, and did not again/)
      await using other = await emptyRoot()
      const whole = await again(other)
      // What stands around the blobs may differ by some lines.
      expect(Math.abs(whole.came - bytes - came)).toBeLessThan(20_000)
    })

    test('by a kill goes on too', async () => {
      await using root = await emptyRoot()
      await using proxy = await faultyProxy(registry.host, (file, method) =>
        isBlob(file, method) ? { kind: 'slow', pause: 20 } : undefined,
      )
      const call = start(words(root, proxy.host))
      while (keptBytes(root) < 1_000_000) await pause(20)
      call.process.kill('SIGKILL')
      await call.outcome
      expect((await again(root)).stderr).toMatch(/had come before/)
    })

    test('whose bytes were damaged meanwhile starts anew by itself', async () => {
      await using root = await emptyRoot()
      await interrupted(root)
      for (const file of kept(root)) {
        const found = readFileSync(path.join(keptAt(root), file))
        // As a power cut leaves it.
        writeFileSync(path.join(keptAt(root), file), found.fill(0, found.length / 2))
      }
      expect((await again(root)).stderr).toContain('was damaged, and comes again')
    })

    test('is told of by gc, which deletes it', async () => {
      await using root = await emptyRoot()
      await interrupted(root)
      const dry = await succeed(['--root', root.path, 'gc', '--dry-run'])
      expect(dry).toMatch(
        /would delete [0-9a-f]{64} \(.* MB\): what came of a layer in a pull that was interrupted/,
      )
      await succeed(['--root', root.path, 'gc'])
      expect([kept(root), await succeed(['--root', root.path, 'gc', '--dry-run'])]).toEqual([
        [],
        '0 things to delete\n',
      ])
    })
  })

  test.each<readonly [string, (path: string, method: string) => ProxyFault | undefined, string]>([
    [
      'bytes that are not those of the digest',
      (file, method) => (method === 'GET' && file.includes('/blobs/') ? { kind: 'damage' } : undefined),
      'GD_DIGEST_MISMATCH',
    ],
    [
      'a manifest that is damaged',
      (file) => (file.includes('/manifests/') ? { kind: 'damage' } : undefined),
      'GD_IMAGE_INVALID',
    ],
    ['a registry that refuses', () => ({ kind: 'status', status: 418 }), 'answered 418'],
  ])('%s: nothing is left', async (_, choose, words) => {
    await using root = await emptyRoot()
    await using proxy = await faultyProxy(registry.host, choose)
    const { code, stdout, stderr } = await pull(root, proxy.host)
    expect([code, stdout, stderr]).toEqual([1, '', expect.stringContaining(words)])
    expectNothing(root)
  })

  test('a registry, a repository and a tag that are not there are named, with what to do', async () => {
    await using root = await emptyRoot()
    const at = (image: string): Promise<Outcome> =>
      graphdriver(['--root', root.path, '--driver', 'vfs', 'pull', '--plain-http', image])
    expect((await at(`${registry.host}/some/image:v2`)).stderr).toMatch(
      /has no some\/image\/manifests\/v2; see that name and tag/,
    )
    expect((await at(`${registry.host}/nobody/nothing`)).stderr).toContain(
      'has no nobody/nothing/manifests/latest',
    )
    expect((await at('127.0.0.1:1/some/image')).stderr).toMatch(
      /cannot be reached: .*; see that it runs.*GD_REGISTRY_FAILED/,
    )
    expect((await at('some/IMAGE')).stderr).toContain('GD_INVALID_REFERENCE')
    expectNothing(root)
  }, 120_000)

  test('without --plain-http a registry without TLS is not spoken to, and the remedy is told', async () => {
    await using root = await emptyRoot()
    const { code, stderr } = await graphdriver([
      '--root',
      root.path,
      '--driver',
      'vfs',
      'pull',
      `${registry.host}/${name}`,
    ])
    expect([code, stderr]).toEqual([1, expect.stringContaining('--plain-http')])
  }, 120_000)

  describe('a registry that wants to know who asks', () => {
    async function withConfig(config: object, helper?: string): Promise<Outcome> {
      await using root = await emptyRoot()
      const home = path.join(root.scratch, 'docker')
      mkdirSync(home)
      writeFileSync(path.join(home, 'config.json'), JSON.stringify(config))
      if (helper !== undefined)
        writeFileSync(path.join(home, 'docker-credential-lab'), helper, { mode: 0o755 })
      const env = { DOCKER_CONFIG: home, PATH: `${home}:${process.env['PATH'] ?? ''}` }
      const args = [
        '--root',
        root.path,
        '--driver',
        'vfs',
        'pull',
        '--plain-http',
        `${private_.host}/${name}`,
      ]
      return await graphdriver(args, { env })
    }
    const auth = ({ username, password }: { username: string; password: string }): string =>
      Buffer.from(`${username}:${password}`).toString('base64')

    test('takes the password of config.json', async () => {
      const { code, stderr } = await withConfig({ auths: { [private_.host]: { auth: auth(registryUser) } } })
      expect([code, stderr]).toEqual([0, expect.any(String)])
    })

    test('takes that of a credential helper', async () => {
      const secret = JSON.stringify({ Username: registryUser.username, Secret: registryUser.password })
      const helper = `#!/bin/sh\nread host; [ "$1 $host" = "get ${private_.host}" ] && echo '${secret}'\n`
      const { code, stderr } = await withConfig({ credHelpers: { [private_.host]: 'lab' } }, helper)
      expect([code, stderr]).toEqual([0, expect.any(String)])
    })

    test.each<readonly [string, () => object]>([
      ['nobody', () => ({})],
      [
        'a wrong password',
        () => ({ auths: { [private_.host]: { auth: auth({ username: 'somebody', password: 'guess' }) } } }),
      ],
    ])('refuses %s, and says to log in', async (_, config) => {
      const { code, stderr } = await withConfig(config())
      expect([code, stderr]).toEqual([1, expect.stringContaining(`docker login ${private_.host}`)])
    })
  })

  test.each<readonly [string, object, string]>([
    ['for whoever knows the password', { auth: Buffer.from('somebody:secret').toString('base64') }, 'GET'],
    ['for whoever has an identity token', { identitytoken: 'long-lived' }, 'POST'],
  ])('a registry that wants a token has it fetched, %s', async (_, known, method) => {
    await using root = await emptyRoot()
    const scope = 'repository:some/image:pull'
    let host = ''
    await using proxy = await faultyProxy(registry.host, (file, asked, _count, headers) => {
      if (file.startsWith('/token')) {
        const isKnown =
          asked === 'POST' ||
          headers.authorization === `Basic ${Buffer.from('somebody:secret').toString('base64')}`
        return isKnown
          ? { kind: 'status', status: 200, body: JSON.stringify({ token: 'for-a-while' }) }
          : { kind: 'status', status: 401 }
      }
      if (headers.authorization === 'Bearer for-a-while') return undefined
      const challenge = `Bearer realm="http://${host}/token",service="lab, the one",scope="${scope}"`
      return { kind: 'status', status: 401, headers: { 'www-authenticate': challenge } }
    })
    host = proxy.host
    const at = (config: object): Promise<Outcome> => {
      writeFileSync(path.join(root.scratch, 'config.json'), JSON.stringify(config))
      const args = ['--root', root.path, '--driver', 'vfs', 'pull', '--plain-http', `${host}/${name}`]
      return graphdriver(args, { env: { DOCKER_CONFIG: root.scratch } })
    }
    expect((await at({})).stderr).toContain(`docker login ${host}`)
    const { code, stderr } = await at({ auths: { [host]: known } })
    expect([code, stderr]).toEqual([0, expect.any(String)])
    await expectWhole(root, host)
    const tokens = proxy.asked.filter((line) => line.includes('/token'))
    expect(tokens.at(-1)).toMatch(new RegExp(`^${method} `))
    expect(decodeURIComponent(tokens.at(-1) ?? '')).toContain(method === 'GET' ? `scope=${scope}` : '/token')
  })

  test('a mirror is asked first, and one that has it not, or is not there, is passed over', async () => {
    await using root = await emptyRoot()
    await using mirror = await faultyProxy(registry.host, () => undefined)
    await using empty = await faultyProxy(registry.host, () => ({ kind: 'status', status: 404 }))
    await using own = await faultyProxy(registry.host, () => undefined)
    const mirrors = ['http://127.0.0.1:1', `http://${empty.host}`, `http://${mirror.host}`].flatMap((one) => [
      '--mirror',
      one,
    ])
    const { code, stderr } = await pull(root, own.host, ...mirrors)
    expect([code, stderr, own.asked]).toEqual([0, expect.any(String), []])
    expect(mirror.asked.length).toBeGreaterThan(3)
    await expectWhole(root, own.host)
  })

  test('what is damaged is made again from the registry', async () => {
    await using root = await emptyRoot()
    expect((await pull(root, registry.host)).code).toBe(0)
    const layers = path.join(root.path, 'vfs/dir')
    // Of the second layer: the third is a copy of it, without the first one's.
    const second = readdirSync(layers).find((id) =>
      ['a', 'b'].every((one) => existsSync(path.join(layers, id, one))),
    )
    const file = path.join(layers, second ?? '', 'b')
    truncateSync(file, 5)
    const at = ['--root', root.path, '--driver', 'vfs'] as const
    expect((await graphdriver([...at, 'check', '--full'])).code).toBe(1)
    expect(await succeed([...at, 'repair', '--plain-http', '--pull', `${registry.host}/${name}`])).toContain(
      'again\n',
    )
    await expectWhole(root, registry.host)
    expect((await graphdriver([...at, 'repair'])).stderr).toContain('repair needs --from')
  })

  test.each(['SIGINT', 'SIGTERM'] as const)(
    'one that is told to end by %s leaves nothing',
    async (signal) => {
      await using root = await emptyRoot()
      await using proxy = await faultyProxy(registry.host, (file, method) =>
        file.includes('/blobs/') && method === 'GET' && !file.includes('config')
          ? { kind: 'slow', pause: 300 }
          : undefined,
      )
      const call = start([
        '--root',
        root.path,
        '--driver',
        'vfs',
        'pull',
        '--plain-http',
        `${proxy.host}/${name}`,
      ])
      while (
        !existsSync(path.join(root.path, 'vfs/dir')) ||
        readdirSync(path.join(root.path, 'vfs/dir')).length === 0
      )
        await pause(5)
      call.process.kill(signal)
      const { code, stdout } = await call.outcome
      expect([code, stdout]).toEqual([128 + constants.signals[signal], ''])
      expectNothing(root)
    },
  )
})
