/** A driver that is behind a plugin's socket. */
import {
  type Capabilities,
  type CallOptions,
  type Change,
  type CreateOptions,
  type Driver,
  type GetOptions,
  type LayerId,
  layerMount,
  type Mount,
  parseLayerId,
  type Quota,
  type StatusRow,
  type TarStream,
  type Usage,
} from '@graphdriver/core'
import { Connection } from './client-connection.ts'
import { changeKinds, type Description, type DockerCall, type Request, targetOf } from './protocol.ts'

export interface ClientOptions {
  /** Path of the plugin's socket. */
  readonly socket: string
  /** The driver's own directory, absolute. */
  readonly home: string
  /** As dockerd says them with `--storage-opt`: `key=value`. */
  readonly options?: readonly string[] | undefined
}

/**
 * Opens the driver behind a plugin of this package: tells it its home, and asks what it can do.
 *
 * @throws what the driver throws when it is opened
 */
export async function openPlugin({ socket, home, options = [] }: ClientOptions): Promise<Driver> {
  const connection = new Connection(socket)
  try {
    await connection.call('/Plugin.Activate')
    await connection.call(targetOf('Init'), { Home: home, Opts: options })
    const { Description: description } = await connection.call(targetOf('Describe'))
    if (description === undefined) throw new Error(`${socket}: a plugin that does not describe its driver`)
    return new PluginDriver(connection, description)
  } catch (error) {
    connection.close()
    throw error
  }
}

class PluginDriver implements Driver {
  readonly name: string
  readonly home: string
  readonly capabilities: Capabilities
  readonly setQuota?: (id: LayerId, quota: Quota) => Promise<void>
  readonly usage?: (id: LayerId) => Promise<Usage | undefined>
  readonly #connection: Connection

  constructor(connection: Connection, { name, home, capabilities, optional }: Description) {
    this.#connection = connection
    this.name = name
    this.home = home
    const maxDepth = capabilities.maxDepth ?? Number.POSITIVE_INFINITY
    // The protocol has no word for maps.
    this.capabilities = { ...capabilities, maxDepth, mappedOwners: false }
    if (optional.includes('setQuota'))
      this.setQuota = async (id, quota) => {
        await connection.call(targetOf('SetQuota'), { ID: id, Quota: quota })
      }
    if (optional.includes('usage'))
      this.usage = async (id) => (await connection.call(targetOf('Usage'), { ID: id })).Usage
  }

  create(id: LayerId, options?: CreateOptions): Promise<void> {
    return this.#create('Create', id, options)
  }

  createReadWrite(id: LayerId, options?: CreateOptions): Promise<void> {
    return this.#create('CreateReadWrite', id, options)
  }

  async remove(id: LayerId, options?: CallOptions): Promise<void> {
    await this.#connection.call(targetOf('Remove'), { ID: id }, options)
  }

  async get(id: LayerId, { mountLabel, signal }: GetOptions = {}): Promise<Mount> {
    const request = { ID: id, ...(mountLabel === undefined ? {} : { MountLabel: mountLabel }) }
    const { Dir = '', ReadOnly = false } = await this.#connection.call(targetOf('Get'), request, { signal })
    return layerMount(id, Dir, ReadOnly, (mounted) => this.put(mounted))
  }

  async put(id: LayerId): Promise<void> {
    await this.#connection.call(targetOf('Put'), { ID: id })
  }

  async exists(id: LayerId): Promise<boolean> {
    return (await this.#connection.call(targetOf('Exists'), { ID: id })).Exists ?? false
  }

  async *layers(options: CallOptions = {}): AsyncIterable<LayerId> {
    const { Layers = [] } = await this.#connection.call(targetOf('Layers'), {}, options)
    for (const id of Layers) {
      options.signal?.throwIfAborted()
      yield parseLayerId(id)
    }
  }

  async status(): Promise<readonly StatusRow[]> {
    return (await this.#connection.call(targetOf('Status'))).Status ?? []
  }

  async metadata(id: LayerId): Promise<Readonly<Record<string, string>>> {
    return (await this.#connection.call(targetOf('GetMetadata'), { ID: id })).Metadata ?? {}
  }

  async cleanup(): Promise<void> {
    await this.#connection.call(targetOf('Cleanup'))
  }

  diff(id: LayerId, parent: LayerId | undefined, options: CallOptions = {}): TarStream {
    return this.#connection.download('/GraphDriver.Diff', of(id, parent), options)
  }

  async changes(id: LayerId, parent: LayerId | undefined, options?: CallOptions): Promise<readonly Change[]> {
    const { Changes = [] } = await this.#connection.call(targetOf('Changes'), of(id, parent), options)
    return Changes.map(({ Path, Kind }) => ({ path: Path, kind: changeKinds[Kind] ?? 'modify' }))
  }

  async applyDiff(
    id: LayerId,
    parent: LayerId | undefined,
    tar: TarStream,
    options: CallOptions = {},
  ): Promise<number> {
    const query = new URLSearchParams({ id, parent: parent ?? '' })
    const { Size = 0 } = await this.#connection.upload(
      `/GraphDriver.ApplyDiff?${query.toString()}`,
      tar,
      options,
    )
    return Size
  }

  async diffSize(id: LayerId, parent: LayerId | undefined, options?: CallOptions): Promise<number> {
    return (await this.#connection.call(targetOf('DiffSize'), of(id, parent), options)).Size ?? 0
  }

  /** The plugin serves on. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#connection.close()
  }

  async #create(call: DockerCall, id: LayerId, options: CreateOptions = {}): Promise<void> {
    const { parent, mountLabel, storageOptions, signal } = options
    const request: Request = {
      ...of(id, parent),
      ...(mountLabel === undefined ? {} : { MountLabel: mountLabel }),
      ...(storageOptions === undefined ? {} : { StorageOpt: storageOptions }),
    }
    await this.#connection.call(targetOf(call), request, { signal })
  }
}

function of(id: LayerId, parent: LayerId | undefined): Request {
  return parent === undefined ? { ID: id } : { ID: id, Parent: parent }
}
