import { connect as connectSocket } from 'node:net'
import { once } from 'node:events'
import { existsSync, statSync } from 'node:fs'
import path from 'node:path'
import { defineDriver, type Driver, type DriverDefinition } from '@graphdriver/core'
import { type TemporaryDirectory, temporaryDirectory } from '@graphdriver/core/conformance'
import vfs from '@graphdriver/vfs'
import { status } from '@grpc/grpc-js'
import { need } from '@tooling/lab'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { serveSnapshotter, type Snapshotter, type SnapshotterOptions } from '../src/index.ts'
import { SnapshotterClient } from './client.ts'

const missing = need({ root: true })

/** The driver, of which a call can be made to wait as on a disk that stalls. */
function stalling(inner: DriverDefinition): { readonly definition: DriverDefinition; stalled: string[] } {
  const stalled: string[] = []
  const definition = defineDriver({
    ...inner,
    async open(host): Promise<Driver> {
      return new Proxy(await inner.open(host), {
        get(target, property) {
          const value: unknown = Reflect.get(target, property)
          if (stalled.includes(String(property))) return () => new Promise(() => undefined)
          return typeof value === 'function' ? (value.bind(target) as unknown) : value
        },
      })
    },
  })
  return { definition, stalled }
}

describe.skipIf(missing !== undefined)(`snapshotter (${missing ?? 'as root'})`, () => {
  let directory: TemporaryDirectory
  let socket: string
  let snapshotter: Snapshotter | undefined
  let client: SnapshotterClient

  beforeEach(async () => {
    directory = await temporaryDirectory()
    socket = path.join(directory.path, 'run', 'snapshots.sock')
  })

  afterEach(async () => {
    client[Symbol.dispose]()
    await snapshotter?.[Symbol.asyncDispose]()
    snapshotter = undefined
    await directory[Symbol.asyncDispose]()
  })

  async function serve(options: Partial<SnapshotterOptions> = {}): Promise<void> {
    const root = path.join(directory.path, 'root')
    snapshotter = await serveSnapshotter({ definition: vfs, root, socket, ...options })
    client = new SnapshotterClient(socket)
  }

  const call = (name: string, request: object): ReturnType<SnapshotterClient['call']> =>
    client.call(name, request)
  const list = (...filters: readonly string[]): ReturnType<SnapshotterClient['list']> =>
    client.list(...filters)

  test('calls, answers and classes of errors are containerd’s', async () => {
    await serve()
    const { mounts } = await call('Prepare', { snapshotter: 'x', key: 'a', labels: { colour: 'red' } })
    expect(mounts).toMatchObject([{ type: 'bind', target: '', options: ['rbind', 'rw'] }])
    await call('Commit', { name: 'base', key: 'a', labels: { colour: 'blue' } })
    const { info } = await call('Stat', { key: 'base' })
    expect(info).toMatchObject({ name: 'base', parent: '', kind: 'COMMITTED', labels: { colour: 'blue' } })
    const { createdAt } = info as { readonly createdAt: { readonly seconds: number } }
    expect(Math.abs(createdAt.seconds - Date.now() / 1000)).toBeLessThan(60)
    const update = {
      info: { name: 'base', labels: { colour: 'green' } },
      updateMask: { paths: ['labels.colour'] },
    }
    expect(await call('Update', update)).toMatchObject({ info: { labels: { colour: 'green' } } })
    expect(await call('Usage', { key: 'base' })).toEqual({ size: 0, inodes: 0 })
    await call('View', { key: 'look', parent: 'base' })
    const refused = [
      ['Stat', { key: 'none' }, status.NOT_FOUND],
      ['View', { key: 'look', parent: 'base' }, status.ALREADY_EXISTS],
      ['Remove', { key: 'base' }, status.FAILED_PRECONDITION],
      ['Prepare', { key: 'b', parent: 'look' }, status.INVALID_ARGUMENT],
      ['Update', {}, status.INVALID_ARGUMENT],
    ] as const
    for (const [name, request, code] of refused)
      await expect(call(name, request)).rejects.toMatchObject({ code })
    await expect(list('kind=')).rejects.toMatchObject({ code: status.INVALID_ARGUMENT })
    await call('Remove', { key: 'look' })
    await call('Remove', { key: 'base' })
    await call('Cleanup', {})
    expect(await list()).toEqual([])
  })

  test('a list comes in messages of a hundred, of what the filters let through', async () => {
    await serve()
    await Promise.all(Array.from({ length: 250 }, (_, index) => call('Prepare', { key: `key-${index}` })))
    const messages = await list()
    expect(messages.map(({ length }) => length)).toEqual([100, 100, 50])
    expect((await list('name~=-24[0-9]$')).flat()).toHaveLength(10)
  })

  test('a disk that stalls is answered for in time, and keeps nobody from what is in memory', async () => {
    const { definition, stalled } = stalling(vfs)
    await serve({ definition, budget: { milliseconds: 300, atOnce: 2 } })
    await call('Prepare', { key: 'before' })
    stalled.push('createReadWrite')
    const calls = Array.from({ length: 8 }, (_, index) => call('Prepare', { key: `key-${index}` }))
    const waiting = Promise.allSettled(calls)
    expect(await call('Stat', { key: 'before' })).toMatchObject({ info: { name: 'before' } })
    expect((await list()).flat()).toHaveLength(1)
    expect(await call('Check', { service: '' })).toMatchObject({ status: 'SERVING' })
    for (const outcome of await waiting)
      expect(outcome).toMatchObject({
        status: 'rejected',
        reason: {
          code: status.DEADLINE_EXCEEDED,
          details: expect.stringMatching(/^prepare of snapshot key-\d has not ended after 300 ms/) as string,
        },
      })
  })

  test('what is deleted is deleted later', async () => {
    const { definition, stalled } = stalling(vfs)
    await serve({ definition })
    await call('Prepare', { key: 'a' })
    stalled.push('remove')
    await call('Remove', { key: 'a' })
    await expect(call('Stat', { key: 'a' })).rejects.toMatchObject({ code: status.NOT_FOUND })
  })

  test('a socket that a killed process left is taken, one that is served is not, and only root may connect', async () => {
    await serve()
    expect(statSync(socket).mode & 0o777).toBe(0o600)
    const other = serveSnapshotter({ definition: vfs, root: path.join(directory.path, 'other'), socket })
    await expect(other).rejects.toMatchObject({ code: 'GD_IN_USE' })
    const attempt = connectSocket(socket)
    await once(attempt, 'connect')
    attempt.destroy()
    client[Symbol.dispose]()
    await snapshotter?.[Symbol.asyncDispose]()
    expect(existsSync(socket)).toBe(false)
    await serve()
    expect(await list()).toEqual([])
  })
})
