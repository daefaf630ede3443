/** The snapshots service of containerd's `proxy_plugins`, on a unix socket, with a health service beside it. */
import { chmod, rm } from 'node:fs/promises'
import { once } from 'node:events'
import { GraphDriverError, isGraphDriverError } from '@graphdriver/core'
import { freeSocket, isSystemError } from '@graphdriver/sys'
import {
  type handleUnaryCall,
  Server,
  ServerCredentials,
  type ServerWritableStream,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
import { HealthImplementation } from 'grpc-health-check'
import { type Budget, Gate, standardBudget } from './budget.ts'
import { SnapshotError, type SnapshotErrorKind } from './error.ts'
import { parseFilters } from './filter.ts'
import {
  type CommitRequest,
  type Info,
  type KeyRequest,
  type ListRequest,
  type Mount,
  type PrepareRequest,
  snapshotsService,
  type Timestamp,
  type UpdateRequest,
} from './protocol.ts'
import type { SnapshotRecord } from './record.ts'
import { type Preparation, type SnapshotMount, Snapshots, type SnapshotsOptions } from './snapshots.ts'

export interface SnapshotterOptions extends SnapshotsOptions {
  /** Path of the socket; its directory is made if need be. Only root may connect. */
  readonly socket: string
  readonly budget?: Partial<Budget> | undefined
}

/** A snapshotter that serves. Disposing it waits for calls under way, and leaves mounted what is mounted. */
export interface Snapshotter extends AsyncDisposable {
  readonly socket: string
}

/** Snapshots in one message of a list, as containerd sends them. */
const listBatch = 100

/**
 * Opens a driver at a root, and serves it to containerd.
 *
 * @throws GD_IN_USE when another answers at the socket; as `Snapshots.open`
 */
export async function serveSnapshotter(options: SnapshotterOptions): Promise<Snapshotter> {
  const { socket } = options
  if (!(await freeSocket(socket)))
    throw new GraphDriverError('GD_IN_USE', `${socket}: another snapshotter serves there; end it`, {
      object: socket,
      user: 'another snapshotter',
    })
  const snapshots = await Snapshots.open(options)
  const server = new Server()
  server.addService(snapshotsService(), implementation(snapshots, { ...standardBudget, ...options.budget }))
  const health = new HealthImplementation({ '': 'SERVING' })
  health.addToServer(server)
  try {
    await listen(server, socket)
  } catch (error) {
    await snapshots[Symbol.asyncDispose]()
    throw error
  }
  return {
    socket,
    async [Symbol.asyncDispose]() {
      health.setStatus('', 'NOT_SERVING')
      await new Promise<void>((resolve) => {
        server.tryShutdown(() => resolve())
      })
      await snapshots[Symbol.asyncDispose]()
      await rm(socket, { force: true })
    },
  }
}

async function listen(server: Server, socket: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.bindAsync(`unix://${socket}`, ServerCredentials.createInsecure(), (error) => {
    if (error === null) resolve()
    else reject(error)
  })
  await promise
  await chmod(socket, 0o600)
}

function implementation(snapshots: Snapshots, budget: Budget): UntypedServiceImplementation {
  const gate = new Gate(budget)
  const onDisk = <T>(call: string, key: string, action: () => Promise<T>): Promise<T> =>
    gate.run(`${call} of snapshot ${key}`, action)
  return {
    Prepare: unary(async (request: PrepareRequest) => ({
      mounts: (await onDisk('prepare', request.key, () => snapshots.prepare(preparation(request)))).map(
        mountOf,
      ),
    })),
    View: unary(async (request: PrepareRequest) => ({
      mounts: (await onDisk('view', request.key, () => snapshots.view(preparation(request)))).map(mountOf),
    })),
    Mounts: unary(async ({ key }: KeyRequest) => ({
      mounts: (await onDisk('mounts', key, () => snapshots.mounts(key))).map(mountOf),
    })),
    Commit: unary(async ({ name, key, labels }: CommitRequest) => {
      await onDisk('commit', key, () => snapshots.commit(name, key, labels))
      return {}
    }),
    Remove: unary(async ({ key }: KeyRequest) => {
      await onDisk('remove', key, () => snapshots.remove(key))
      return {}
    }),
    Stat: unary(async ({ key }: KeyRequest) => ({ info: infoOf(snapshots.stat(key)) })),
    Update: unary(async ({ info, updateMask }: UpdateRequest) => {
      if (info === null) throw new SnapshotError('invalid', 'an update names its snapshot')
      const { name, labels } = info
      const paths = updateMask?.paths ?? []
      const updated = await onDisk('update', name, () => snapshots.update(name, labels, paths))
      return { info: infoOf(updated) }
    }),
    Usage: unary(async ({ key }: KeyRequest) => onDisk('usage', key, () => snapshots.usage(key))),
    Cleanup: unary(async () => {
      await gate.run('cleanup', () => snapshots.cleanup())
      return {}
    }),
    List: (call: ServerWritableStream<ListRequest, unknown>) => void list(call, snapshots),
  }
}

/** A call whose promise is its answer. */
function unary<Request, Response>(
  action: (request: Request) => Promise<Response>,
): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    const answer = async (): Promise<void> => {
      try {
        callback(null, await action(call.request))
      } catch (error) {
        callback(statusOf(error))
      }
    }
    void answer()
  }
}

async function list(call: ServerWritableStream<ListRequest, unknown>, snapshots: Snapshots): Promise<void> {
  try {
    let info: Info[] = []
    const send = async (): Promise<void> => {
      if (!call.write({ info }) && !call.cancelled) await once(call, 'drain')
      info = []
    }
    for (const record of snapshots.list(parseFilters(call.request.filters))) {
      info.push(infoOf(record))
      if (info.length === listBatch) await send()
    }
    if (info.length > 0) await send()
    call.end()
  } catch (error) {
    call.emit('error', statusOf(error))
  }
}

const codes: Readonly<Record<SnapshotErrorKind, status>> = {
  'not-found': status.NOT_FOUND,
  exists: status.ALREADY_EXISTS,
  precondition: status.FAILED_PRECONDITION,
  invalid: status.INVALID_ARGUMENT,
  deadline: status.DEADLINE_EXCEEDED,
}

function statusOf(error: unknown): { readonly code: status; readonly details: string } {
  const message = error instanceof Error ? error.message : String(error)
  if (error instanceof SnapshotError) return { code: codes[error.kind], details: message }
  if (isGraphDriverError(error)) return { code: status.INTERNAL, details: `${error.code}: ${message}` }
  const full = isSystemError(error, 'ENOSPC', 'EDQUOT')
  return { code: full ? status.RESOURCE_EXHAUSTED : status.INTERNAL, details: message }
}

function preparation({ key, parent, labels }: PrepareRequest): Preparation {
  return { key, parent: parent === '' ? undefined : parent, labels }
}

function mountOf({ type, source, options }: SnapshotMount): Mount {
  return { type, source, target: '', options }
}

const kinds = { view: 'VIEW', active: 'ACTIVE', committed: 'COMMITTED' } as const

function infoOf({ key, parent = '', kind, created, updated, labels }: SnapshotRecord): Info {
  return {
    name: key,
    parent,
    kind: kinds[kind],
    createdAt: timestampOf(created),
    updatedAt: timestampOf(updated),
    labels,
  }
}

function timestampOf(milliseconds: number): Timestamp {
  return { seconds: Math.floor(milliseconds / 1000), nanos: (milliseconds % 1000) * 1_000_000 }
}
