import { opendir } from 'node:fs/promises'
import { naiveDiff, type TreeWorkers } from '@graphdriver/archive'
import {
  asLayerId,
  type CallOptions,
  type Capabilities,
  type Change,
  type CreateOptions,
  type DiffDriver,
  type Driver,
  type GetOptions,
  type IdMap,
  type LayerId,
  layerMount,
  MappedViews,
  type Mount,
  type Quota,
  type StatusRow,
  type TarStream,
  type Usage,
} from '@graphdriver/core'
import { mappedMounts } from '@graphdriver/sys'
import { discardLayer, hideLayer, makeLayer, reapLayers, type Tools } from './construction.ts'
import { findLayer, layerExists, layersDirectory } from './layout.ts'

export interface CopyingDriverOptions {
  readonly name: string
  /** Exists, with `dir/` in it. */
  readonly home: string
  readonly capabilities: Capabilities
  readonly status: readonly StatusRow[]
}

/** A driver of which each layer is a whole tree. */
export class CopyingDriver implements Driver {
  readonly name: string
  readonly home: string
  readonly capabilities: Capabilities
  readonly #status: readonly StatusRow[]
  readonly #tools: Tools
  readonly #workers: TreeWorkers
  readonly #diff: DiffDriver
  readonly #views: MappedViews
  /** The volumes of layers that are in use, once for each `get`. */
  readonly #held = new Map<LayerId, readonly AsyncDisposable[]>()
  /** A layer was hidden and not wholly deleted; the next `remove` does it. */
  #leftovers = false

  /** @param tools the driver's own; `cleanup` ends the workers */
  constructor({ name, home, capabilities, status }: CopyingDriverOptions, tools: Tools) {
    this.name = name
    this.home = home
    this.capabilities = capabilities
    this.#status = status
    this.#tools = tools
    this.#workers = tools.workers
    this.#diff = naiveDiff(this, tools.workers)
    this.#views = new MappedViews(name, home, mappedMounts)
  }

  create(id: LayerId, options?: CreateOptions): Promise<void> {
    return this.#create(id, 'image', options)
  }

  /** On disk the same as an image layer, but for limits. */
  createReadWrite(id: LayerId, options?: CreateOptions): Promise<void> {
    return this.#create(id, 'container', options)
  }

  async remove(id: LayerId, options?: CallOptions): Promise<void> {
    options?.signal?.throwIfAborted()
    await this.#reapLeftovers()
    await this.#views.hide(id)
    const hidden = hideLayer(this.home, id)
    await this.#letGo(id, Number.POSITIVE_INFINITY)
    try {
      const onLeft = (): void => {
        this.#leftovers = true
      }
      if (hidden !== undefined) await discardLayer(hidden, this.#tools, { ...options, onLeft })
    } catch (error) {
      this.#leftovers = true
      throw error
    }
  }

  /** But for the volume of a layer with limits there is nothing to mount, so nothing to count. */
  async get(id: LayerId, options?: GetOptions): Promise<Mount> {
    options?.signal?.throwIfAborted()
    const path = findLayer(this.name, this.home, id)
    const volume = await this.#tools.limits.open(path)
    if (volume === undefined) return layerMount(id, path, false)
    this.#held.set(id, [...(this.#held.get(id) ?? []), volume])
    return layerMount(id, path, false, (mounted) => this.#letGo(mounted, 1))
  }

  async getMapped(id: LayerId, ids: IdMap, options?: GetOptions): Promise<Mount> {
    return await this.#views.show(id, await this.get(id, options), ids)
  }

  async put(id: LayerId): Promise<void> {
    await this.#views.putLeft(id)
    await this.#letGo(id, 1)
  }

  async exists(id: LayerId): Promise<boolean> {
    return layerExists(this.home, id)
  }

  async *layers(options?: CallOptions): AsyncGenerator<LayerId> {
    for await (const entry of await opendir(layersDirectory(this.home))) {
      options?.signal?.throwIfAborted()
      const id = entry.isDirectory() ? asLayerId(entry.name) : undefined
      if (id !== undefined) yield id
    }
  }

  async status(): Promise<readonly StatusRow[]> {
    return this.#status
  }

  /** Docker tells nothing of a layer of vfs either. */
  async metadata(id: LayerId): Promise<Readonly<Record<string, string>>> {
    findLayer(this.name, this.home, id)
    return {}
  }

  async setQuota(id: LayerId, quota: Quota): Promise<void> {
    await this.#tools.limits.change(id, findLayer(this.name, this.home, id), quota)
  }

  async usage(id: LayerId): Promise<Usage | undefined> {
    return this.#tools.limits.usage(findLayer(this.name, this.home, id))
  }

  diff(id: LayerId, parent: LayerId | undefined, options?: CallOptions): TarStream {
    return this.#diff.diff(id, parent, options)
  }

  changes(id: LayerId, parent: LayerId | undefined, options?: CallOptions): Promise<readonly Change[]> {
    return this.#diff.changes(id, parent, options)
  }

  applyDiff(
    id: LayerId,
    parent: LayerId | undefined,
    tar: TarStream,
    options?: CallOptions,
  ): Promise<number> {
    return this.#diff.applyDiff(id, parent, tar, options)
  }

  diffSize(id: LayerId, parent: LayerId | undefined, options?: CallOptions): Promise<number> {
    return this.#diff.diffSize(id, parent, options)
  }

  async cleanup(): Promise<void> {
    await this.#workers[Symbol.asyncDispose]()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.cleanup()
  }

  async #create(
    id: LayerId,
    kind: 'image' | 'container',
    { parent, signal, storageOptions }: CreateOptions = {},
  ): Promise<void> {
    const quota = this.#tools.limits.wanted(id, storageOptions, kind)
    signal?.throwIfAborted()
    await using base = parent === undefined ? undefined : await this.get(parent)
    await makeLayer(
      { driver: this.name, home: this.home, id, source: base?.path, quota, signal },
      this.#tools,
    )
  }

  async #letGo(id: LayerId, count: number): Promise<void> {
    const held = this.#held.get(id) ?? []
    const left = held.slice(count)
    if (left.length === 0) this.#held.delete(id)
    else this.#held.set(id, left)
    for (const volume of held.slice(0, count)) await volume[Symbol.asyncDispose]()
  }

  async #reapLeftovers(): Promise<void> {
    if (!this.#leftovers) return
    this.#leftovers = !(await reapLayers(this.home, this.#tools))
  }
}
