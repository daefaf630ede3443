/** The servers: requests that no engine would make. */
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, request as httpRequest } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { serveSnapshotter } from '@graphdriver/containerd-snapshotter'
import { servePlugin } from '@graphdriver/docker-plugin'
import vfs from '@graphdriver/vfs'
import { Client, credentials, status } from '@grpc/grpc-js'
import type { Reader, Target } from './target.ts'

const id = 'ab'.repeat(32)
const pluginCalls = [
  'Plugin.Activate',
  'GraphDriver.Capabilities',
  'GraphDriver.Create',
  'GraphDriver.CreateReadWrite',
  'GraphDriver.Remove',
  'GraphDriver.Get',
  'GraphDriver.Put',
  'GraphDriver.Exists',
  'GraphDriver.Status',
  'GraphDriver.GetMetadata',
  'GraphDriver.Changes',
  'GraphDriver.DiffSize',
  'GraphDriver.Diff',
  'GraphDriver.ApplyDiff',
  'GraphDriverExtension.Describe',
  'GraphDriverExtension.Layers',
  'GraphDriverExtension.Usage',
  'GraphDriverExtension.SetQuota',
  'GraphDriverExtension.Cancel',
  'GraphDriver.Nothing',
  '',
] as const
const snapshotCalls = [
  'Prepare',
  'View',
  'Mounts',
  'Commit',
  'Remove',
  'Stat',
  'Update',
  'List',
  'Usage',
  'Cleanup',
] as const

function chosen<T>(from: readonly T[], input: Buffer): T {
  const one = from[(input[0] ?? 0) % from.length]
  if (one === undefined) throw new Error('there is nothing to choose from')
  return one
}

/** Never `Init`: that one says where the driver is, and is the administrator's. */
async function openPlugin(): Promise<Reader> {
  const directory = mkdtempSync(path.join(tmpdir(), 'fuzz-plugin-'))
  const socketPath = path.join(directory, 'socket')
  const plugin = await servePlugin({ socket: socketPath, definition: vfs })
  const agent = new Agent({ keepAlive: true })
  const call = async (target: string, body: Buffer): Promise<string> => {
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    const sent = httpRequest({ socketPath, agent, method: 'POST', path: target }, (response) => {
      text(response).then(resolve, reject)
    })
    sent.on('error', reject).end(body)
    return await promise
  }
  await call(
    '/GraphDriver.Init',
    Buffer.from(JSON.stringify({ Home: path.join(directory, 'vfs'), Opts: [] })),
  )
  return {
    async read(input) {
      const name = chosen(pluginCalls, input)
      const query = name === 'GraphDriver.ApplyDiff' ? `?id=${id}&parent=` : ''
      const answer = await call(`/${name}${query}`, input.subarray(1))
      // A diff is a tar; all else is JSON, errors too.
      if (name !== 'GraphDriver.Diff' || answer.startsWith('{')) JSON.parse(answer)
    },
    async [Symbol.asyncDispose]() {
      agent.destroy()
      await plugin[Symbol.asyncDispose]()
      rmSync(directory, { recursive: true })
    },
  }
}

async function openSnapshotter(): Promise<Reader> {
  const directory = mkdtempSync(path.join(tmpdir(), 'fuzz-snapshotter-'))
  const socket = path.join(directory, 'socket')
  const snapshotter = await serveSnapshotter({ socket, definition: vfs, root: path.join(directory, 'root') })
  const client = new Client(`unix://${socket}`, credentials.createInsecure())
  const same = (bytes: Buffer): Buffer => bytes
  return {
    async read(input) {
      const call = chosen(snapshotCalls, input)
      const target = `/containerd.services.snapshots.v1.Snapshots/${call}`
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const settle = (code: status, details: string): void => {
        const isRefusal = code !== status.UNKNOWN && (code !== status.INTERNAL || /deserializ/i.test(details))
        if (isRefusal) resolve()
        else reject(new Error(`${call} answered ${status[code]}: ${details}`))
      }
      if (call === 'List') {
        const stream = client.makeServerStreamRequest(target, same, same, input.subarray(1))
        stream.on('error', (error: Error & { readonly code: status; readonly details: string }) =>
          settle(error.code, error.details),
        )
        stream.on('data', () => undefined).on('end', () => resolve())
      } else
        client.makeUnaryRequest(target, same, same, input.subarray(1), (error) =>
          error === null ? resolve() : settle(error.code, error.details),
        )
      await promise
    },
    async [Symbol.asyncDispose]() {
      client.close()
      await snapshotter[Symbol.asyncDispose]()
      rmSync(directory, { recursive: true })
    },
  }
}

/** A message with strings in its first fields, as protocol buffers encode it. */
function message(...fields: readonly string[]): Buffer {
  return Buffer.concat(
    fields.map((field, index) =>
      Buffer.concat([Buffer.of(((index + 1) << 3) | 2, field.length), Buffer.from(field)]),
    ),
  )
}

const requests = [
  { ID: id, Parent: '' },
  { ID: `${id}-init`, Parent: id, MountLabel: 'a', StorageOpt: { size: '1G' } },
  { ID: id, Quota: { bytes: 1 } },
  {},
  null,
] as const

export const serverTargets: readonly Target[] = [
  {
    name: 'plugin',
    title: "requests to Docker's plugin",
    seeds: () =>
      pluginCalls.flatMap((_, call) =>
        requests.map((body) => Buffer.concat([Buffer.of(call), Buffer.from(JSON.stringify(body))])),
      ),
    words: [
      'null',
      '[]',
      '{}',
      '"ID":',
      '"Parent":',
      '"StorageOpt":',
      '"MountLabel":',
      '../x',
      '\\u0000',
      '1e999',
      id,
      '__proto__',
    ],
    open: openPlugin,
  },
  {
    name: 'snapshotter',
    title: "messages to containerd's snapshotter",
    seeds: () =>
      snapshotCalls.flatMap((_, call) =>
        [
          message('vfs', 'key', 'parent'),
          message('vfs', 'name', 'key'),
          message('vfs'),
          message('vfs', 'labels.a==b'),
        ].map((body) => Buffer.concat([Buffer.of(call), body])),
      ),
    words: [
      '\x0a\x03vfs',
      '\x12\x03key',
      '..',
      '/',
      '\0',
      'containerd.io/snapshot.ref',
      'labels."a"~=b',
      '\xff',
    ],
    open: openSnapshotter,
  },
]
