/** containerd's own snapshots, by its API and without a process for each: prepared, mounted here, unmounted, removed. */
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { mount } from '@graphdriver/sys'
import { Client, credentials, loadPackageDefinition, Metadata, type ServiceDefinition } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'

interface MountMessage {
  readonly type: string
  readonly source: string
  readonly options: readonly string[]
}

const proto = path.join(
  path.dirname(fileURLToPath(import.meta.resolve('@graphdriver/containerd-snapshotter/package.json'))),
  'proto/snapshots.proto',
)

function serviceDefinition(): ServiceDefinition {
  const loaded = loadPackageDefinition(loadSync(proto, { defaults: true, longs: Number })) as unknown as {
    readonly containerd: {
      readonly services: {
        readonly snapshots: { readonly v1: { readonly Snapshots: { readonly service: ServiceDefinition } } }
      }
    }
  }
  return loaded.containerd.services.snapshots.v1.Snapshots.service
}

export class Snapshots implements Disposable {
  readonly #client: Client
  readonly #service = serviceDefinition()
  readonly #metadata = new Metadata()

  constructor(socket: string) {
    this.#client = new Client(`unix://${socket}`, credentials.createInsecure())
    this.#metadata.set('containerd-namespace', 'default')
  }

  async prepare(key: string, parent: string): Promise<readonly MountMessage[]> {
    // Or its collector takes what nobody refers to.
    const labels = { 'containerd.io/gc.root': new Date().toISOString() }
    const { mounts } = await this.#call('Prepare', { snapshotter: 'overlayfs', key, parent, labels })
    return mounts as readonly MountMessage[]
  }

  async remove(key: string): Promise<void> {
    await this.#call('Remove', { snapshotter: 'overlayfs', key })
  }

  [Symbol.dispose](): void {
    this.#client.close()
  }

  #call(name: string, request: object): Promise<Readonly<Record<string, unknown>>> {
    const definition = this.#service[name]
    if (definition === undefined) throw new Error(`no call ${name}`)
    const { promise, resolve, reject } = Promise.withResolvers<Readonly<Record<string, unknown>>>()
    const deserialize = definition.responseDeserialize as (bytes: Buffer) => Readonly<Record<string, unknown>>
    this.#client.makeUnaryRequest(
      definition.path,
      definition.requestSerialize,
      deserialize,
      request,
      this.#metadata,
      (error, response) => {
        if (error === null) resolve(response ?? {})
        else reject(error)
      },
    )
    return promise
  }
}

/** Mounts what a snapshot says, as containerd's clients do. */
export async function mountSnapshot(mounts: readonly MountMessage[], target: string): Promise<void> {
  const [one] = mounts
  if (one === undefined || mounts.length > 1) throw new Error('a snapshot of overlayfs has one mount')
  await mkdir(target, { recursive: true })
  mount({ source: one.source, target, type: one.type, data: one.options.join(',') })
}
