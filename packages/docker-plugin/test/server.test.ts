import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import path from 'node:path'
import type { Driver, DriverDefinition } from '@graphdriver/core'
import { inChunks, rawTar, temporaryDirectory } from '@graphdriver/core/conformance'
import overlay2 from '@graphdriver/overlay2'
import vfs from '@graphdriver/vfs'
import { need } from '@tooling/lab'
import { describe, expect, test } from 'vitest'
import { openPlugin, type Plugin, servePlugin } from '../src/index.ts'
import { callHeader, cancelTarget, type Response } from '../src/protocol.ts'

const missing = need({ root: true })

interface Serving extends AsyncDisposable {
  readonly plugin: Plugin
  readonly home: string
  readonly failures: string[]
  /** As Go's client does it. */
  readonly post: (target: string, body?: string | Uint8Array) => Promise<{ status: number; body: Response }>
  readonly init: () => Promise<unknown>
}

async function serving(definition: DriverDefinition = vfs): Promise<Serving> {
  const directory = await temporaryDirectory()
  const socket = path.join(directory.path, 'run', 'plugin.sock')
  const failures: string[] = []
  const onFailure = (call: string): number => failures.push(call)
  const plugin = await servePlugin({ definition, socket, onFailure })
  const home = path.join(directory.path, 'root', 'named')
  mkdirSync(path.dirname(home))
  const post: Serving['post'] = async (target, body = '{}\n') => {
    const sent = httpRequest({ socketPath: socket, method: 'POST', path: target, headers: { host: '' } })
    sent.end(body)
    const [response] = await once(sent, 'response')
    const text = (await Array.fromAsync(response as AsyncIterable<Buffer>)).join('')
    return { status: (response as { statusCode: number }).statusCode, body: JSON.parse(text) as Response }
  }
  return {
    plugin,
    home,
    failures,
    post,
    init: () =>
      post('/GraphDriver.Init', JSON.stringify({ Home: home, Opts: null, UIDMaps: null, GIDMaps: null })),
    async [Symbol.asyncDispose]() {
      await plugin[Symbol.asyncDispose]()
      await directory[Symbol.asyncDispose]()
    },
  }
}

/** The driver, whose writable layers are made when the gate opens. */
function gated(definition: DriverDefinition, gate: Promise<void>): DriverDefinition {
  return {
    ...definition,
    async open(host) {
      const driver = await definition.open(host)
      const createReadWrite: Driver['createReadWrite'] = async (id, options) => {
        await gate
        await driver.createReadWrite(id, { ...options, signal: undefined })
      }
      return new Proxy(driver, {
        get(target, name) {
          if (name === 'createReadWrite') return createReadWrite
          const value: unknown = Reflect.get(target, name, target)
          return typeof value === 'function' ? value.bind(target) : value
        },
      })
    },
  }
}

describe.skipIf(missing !== undefined)(`plugin server (${missing ?? 'as root'})`, () => {
  test('it is activated without a body and without a Host, and implements GraphDriver', async () => {
    await using served = await serving()
    const socket = connect(served.plugin.socket)
    socket.end('POST /Plugin.Activate HTTP/1.1\r\nHost: \r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
    const text = (await Array.fromAsync(socket as AsyncIterable<Buffer>)).join('')
    expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(text).toContain('{"Implements":["GraphDriver"]}\n')
  })

  test('Docker’s words are the driver’s: a life of two layers', async () => {
    await using served = await serving(overlay2)
    const call = async (name: string, body: object): Promise<Response> => {
      const { status, body: answer } = await served.post(`/GraphDriver.${name}`, JSON.stringify(body))
      expect([name, status, answer.Err ?? '']).toEqual([name, 200, ''])
      return answer
    }
    await served.init()
    expect(await call('Capabilities', {})).toEqual({ Capabilities: { ReproducesExactDiffs: false } })
    await call('Create', { ID: 'image' })
    await call('CreateReadWrite', { ID: 'image-init', Parent: 'image', MountLabel: '', StorageOpt: null })
    const { Dir = '' } = await call('Get', { ID: 'image-init', MountLabel: '' })
    writeFileSync(path.join(Dir, 'new & <odd>'), 'content')
    expect(await call('Changes', { ID: 'image-init', Parent: 'image' })).toEqual({
      Changes: [{ Path: '/new & <odd>', Kind: 1 }],
    })
    expect(await call('DiffSize', { ID: 'image-init', Parent: 'image' })).toEqual({ Size: 7 })
    await call('Put', { ID: 'image-init' })
    expect(await call('Exists', { ID: 'image-init' })).toEqual({ Exists: true })
    expect((await call('GetMetadata', { ID: 'image-init' })).Metadata).toHaveProperty('UpperDir')
    expect((await call('Status', {})).Status?.map(([key]) => key)).toContain('Backing Filesystem')
    await call('Remove', { ID: 'image-init' })
    await call('Remove', { ID: 'image-init' })
    expect(await call('Exists', { ID: 'image-init' })).toEqual({ Exists: false })
    await call('Cleanup', {})
    expect(existsSync(path.join(served.home, 'image'))).toBe(true)
  })

  test.each([
    ['/GraphDriver.Create', '{"ID":"../up"}', 500, /^GD_INVALID_ID: /],
    ['/GraphDriver.Create', '{"ID":"a","Parent":"none"}', 500, /^GD_LAYER_NOT_FOUND: /],
    ['/GraphDriver.Create', '{"ID":"a","StorageOpt":{"colour":"red"}}', 500, /^GD_INVALID_OPTION: /],
    ['/GraphDriver.Get', '{"ID":"none"}', 500, /^GD_LAYER_NOT_FOUND: /],
    ['/GraphDriver.Diff', '{"ID":"none"}', 500, /^GD_LAYER_NOT_FOUND: /],
    ['/GraphDriver.Create', 'no JSON', 500, /^GD_INVALID_OPTION: .*JSON/],
    ['/GraphDriver.Create', '[]', 500, /^GD_INVALID_OPTION: .*object/],
    ['/GraphDriver.Create', ' '.repeat(2 * 1024 * 1024), 500, /^GD_INVALID_OPTION: .*longer/],
    ['/GraphDriver.Init', '{"Home":"relative"}', 500, /^GD_INVALID_OPTION: .*absolute/],
    ['/GraphDriver.Init', '{"Home":"/elsewhere"}', 500, /^GD_DRIVER_UNSUPPORTED: .*start another/],
    [
      '/GraphDriver.Init',
      '{"Home":"/elsewhere","UIDMaps":[{"container_id":0,"host_id":1,"size":1}]}',
      500,
      /^GD_DRIVER_UNSUPPORTED: .*userns-remap/,
    ],
    ['/GraphDriver.Dance', '{}', 404, /no call/],
    ['/Volume.Get', '{}', 404, /no call/],
    ['/GraphDriver.toString', '{}', 404, /no call/],
  ])('%s with %.40j is refused, and the plugin serves on', async (target, body, status, words) => {
    await using served = await serving()
    await served.init()
    const answer = await served.post(target, body)
    expect(answer).toMatchObject({ status, body: { Err: expect.stringMatching(words) as string } })
    expect(served.failures).toEqual(status === 404 ? [] : [target.slice(1)])
    expect(await served.post('/GraphDriver.Exists', '{"ID":"a"}')).toMatchObject({ body: { Exists: false } })
  })

  test('before Init, a call says that dockerd has to be started again', async () => {
    await using served = await serving()
    const { body } = await served.post('/GraphDriver.Exists', '{"ID":"a"}')
    expect(body.Err).toMatch(/^GD_CLOSED: .*restart dockerd/)
  })

  test('a tar that is none is read to its end before it is refused', async () => {
    await using served = await serving()
    await served.init()
    const junk = new Uint8Array(16 * 1024 * 1024).fill(7)
    // Whether it was read on depended on who came first: on a busy machine it stopped one time in ten.
    for (let time = 0; time < 30; time++) {
      await served.post('/GraphDriver.Create', `{"ID":"a${time}"}`)
      const { status, body } = await served.post(`/GraphDriver.ApplyDiff?id=a${time}&parent=`, junk)
      expect([status, body.Err]).toEqual([500, expect.stringMatching(/^GD_ARCHIVE_INVALID: /)])
    }
  })

  test.each([
    ['while it is read', new Uint8Array(512), []],
    ['after it was refused', new Uint8Array(64 * 1024).fill(7), ['GraphDriver.ApplyDiff']],
  ])(
    'whoever hangs up in the middle of an upload, %s, leaves a layer that can be removed',
    async (_when, start, failures) => {
      await using served = await serving()
      await served.init()
      await served.post('/GraphDriver.Create', '{"ID":"a"}')
      const sent = httpRequest({
        socketPath: served.plugin.socket,
        method: 'POST',
        path: '/GraphDriver.ApplyDiff?id=a&parent=',
      })
      sent.on('error', () => undefined).write(start)
      await expect.poll(() => sent.socket?.bytesWritten ?? 0).toBeGreaterThan(0)
      await expect.poll(() => served.failures).toEqual(failures)
      sent.destroy()
      await expect.poll(() => served.failures).toEqual(['GraphDriver.ApplyDiff'])
      expect(await served.post('/GraphDriver.Remove', '{"ID":"a"}')).toMatchObject({ status: 200 })
    },
  )

  test('a daemon that starts again is served with what is mounted', async () => {
    await using served = await serving(overlay2)
    await served.init()
    await served.post('/GraphDriver.Create', '{"ID":"image"}')
    await served.post('/GraphDriver.CreateReadWrite', '{"ID":"box","Parent":"image"}')
    const { body } = await served.post('/GraphDriver.Get', '{"ID":"box"}')
    await served.init()
    writeFileSync(path.join(body.Dir ?? '', 'file'), '')
    expect((await served.post('/GraphDriver.Get', '{"ID":"box"}')).body.Dir).toBe(body.Dir)
    expect((await served.post('/GraphDriver.Remove', '{"ID":"box"}')).body).toEqual({})
  })

  test('a plugin that is started again goes on where it was', async () => {
    await using served = await serving(overlay2)
    await served.init()
    await served.post('/GraphDriver.Create', '{"ID":"image"}')
    await served.post('/GraphDriver.CreateReadWrite', '{"ID":"box","Parent":"image"}')
    const { body } = await served.post('/GraphDriver.Get', '{"ID":"box"}')
    await served.plugin[Symbol.asyncDispose]()
    await using _ = await servePlugin({ definition: overlay2, socket: served.plugin.socket })
    writeFileSync(path.join(body.Dir ?? '', 'file'), '')
    const changes = await served.post('/GraphDriver.Changes', '{"ID":"box","Parent":"image"}')
    expect(changes.body.Changes).toEqual([{ Path: '/file', Kind: 1 }])
    await served.post('/GraphDriver.Remove', '{"ID":"box"}')
    expect(existsSync(body.Dir ?? '')).toBe(false)
  })

  test('a layer whose maker never heard of it goes when dockerd begins anew, unless it holds something', async () => {
    const gate = Promise.withResolvers<void>()
    await using served = await serving(gated(vfs, gate.promise))
    await served.init()
    const ids = ['lost', 'used'] as const
    const creations = ids.map((id) =>
      httpRequest({ socketPath: served.plugin.socket, method: 'POST', path: '/GraphDriver.CreateReadWrite' })
        .on('error', () => undefined)
        .end(JSON.stringify({ ID: id })),
    )
    const marks = `${served.plugin.socket}.creating`
    await expect.poll(() => existsSync(marks) && readdirSync(marks).sort()).toEqual(ids)
    for (const creation of creations) creation.destroy()
    gate.resolve()
    const exist = async (id: string) =>
      (await served.post('/GraphDriver.Exists', `{"ID":"${id}"}`)).body.Exists
    for (const id of ids) await expect.poll(() => exist(id)).toBe(true)
    const { body } = await served.post('/GraphDriver.Get', '{"ID":"used"}')
    writeFileSync(path.join(body.Dir ?? '', 'file'), '')
    await served.post('/GraphDriver.CreateReadWrite', '{"ID":"answered"}')
    await expect.poll(() => readdirSync(marks)).not.toContain('answered')
    await served.init()
    expect(await Promise.all([...ids, 'answered'].map(exist))).toEqual([false, true, true])
    expect(readdirSync(marks)).toEqual([])
  })

  test('a layer that was made before its maker heard that it was not wanted is said to be there', async () => {
    const gate = Promise.withResolvers<void>()
    await using served = await serving(gated(vfs, gate.promise))
    await using driver = await openPlugin({ socket: served.plugin.socket, home: served.home })
    const layer = 'box' as Parameters<typeof driver.create>[0]
    const controller = new AbortController()
    const made = driver.createReadWrite(layer, { signal: controller.signal })
    const marks = `${served.plugin.socket}.creating`
    await expect.poll(() => existsSync(marks) && readdirSync(marks)).toEqual([layer])
    controller.abort()
    gate.resolve()
    await made
    expect(await driver.exists(layer)).toBe(true)
  })

  test('a cancelling that overtakes its call on another connection ends it', async () => {
    await using served = await serving()
    await served.init()
    await served.post(cancelTarget, '{"ID":"early"}').then(({ body }) => expect(body).toEqual({}))
    const sent = httpRequest({
      socketPath: served.plugin.socket,
      method: 'POST',
      path: '/GraphDriver.Create',
      headers: { [callHeader]: 'early' },
    })
    sent.end('{"ID":"box"}')
    await expect(once(sent, 'response')).rejects.toThrow(/hang up|ECONNRESET/)
    expect((await served.post('/GraphDriver.Exists', '{"ID":"box"}')).body.Exists).toBe(false)
  })

  test('a socket that a killed plugin left is taken, one that is served is not', async () => {
    await using directory = await temporaryDirectory()
    const socket = path.join(directory.path, 'plugin.sock')
    {
      await using _ = await servePlugin({ definition: vfs, socket })
      await expect(servePlugin({ definition: vfs, socket })).rejects.toThrow(/another plugin serves there/)
    }
    expect(existsSync(socket)).toBe(false)
    writeFileSync(socket, '')
    await using plugin = await servePlugin({ definition: vfs, socket })
    await using driver = await openPlugin({ socket: plugin.socket, home: path.join(directory.path, 'home') })
    expect(driver.capabilities.maxDepth).toBe(Number.POSITIVE_INFINITY)
  })

  test('a long upload of the client’s leaves no listeners behind', async () => {
    await using served = await serving()
    await using driver = await openPlugin({ socket: served.plugin.socket, home: served.home })
    const layer = 'a' as Parameters<typeof driver.create>[0]
    await driver.create(layer)
    const warnings: string[] = []
    const onWarning = ({ name }: Error): void => void warnings.push(name)
    process.on('warning', onWarning)
    // A file of 64 MiB, in pieces of which each fills the socket.
    const tar = rawTar({ name: 'file', data: Buffer.alloc(64 * 1024 * 1024) })
    await driver.applyDiff(layer, undefined, inChunks(tar, 1024 * 1024))
    process.off('warning', onWarning)
    expect(warnings).toEqual([])
  })

  test('ending it ends what it is at, and leaves no socket', async () => {
    await using served = await serving()
    await using driver = await openPlugin({ socket: served.plugin.socket, home: served.home })
    const waiting = Promise.withResolvers<void>()
    const asked = Promise.withResolvers<void>()
    const tar = (async function* () {
      yield new Uint8Array(512)
      asked.resolve()
      await waiting.promise
    })()
    const layer = 'a' as Parameters<typeof driver.create>[0]
    await driver.create(layer)
    const applied = driver.applyDiff(layer, undefined, tar).catch(String)
    await asked.promise
    await served.plugin[Symbol.asyncDispose]()
    waiting.resolve()
    expect(await applied).toMatch(/EPIPE|ECONNRESET|hang up/)
    expect(existsSync(served.plugin.socket)).toBe(false)
  })
})
