import { mkdir } from 'node:fs/promises'
import type { ArchiveLimits } from '@graphdriver/archive'
import {
  type CallOptions,
  type ChainId,
  type CreateRWLayerOptions,
  type Driver,
  GraphDriverError,
  type Layer,
  type LayerId,
  type LayerRecord,
  type LayerStore,
  type RegisterOptions,
  type StackedLayer,
  type TarStream,
  type WritableLayer,
  type WritableLayerRecord,
  KeyedMutex,
  type Operation,
  traced,
} from '@graphdriver/core'
import { checkContents, type ContentCheckOptions } from './check-contents.ts'
import { checkRecords } from './check-records.ts'
import type { Finding } from './finding.ts'
import { FilesystemSync } from './filesystem-sync.ts'
import { HeldLayer } from './held-layer.ts'
import { writeIndex } from './layer-index.ts'
import { LayerGraph } from './layer-graph.ts'
import { holdExisting } from './layer-lookup.ts'
import { layerdbOf } from './layerdb.ts'
import { parseMountName } from './mount-record.ts'
import {
  collectOrphans,
  dropQuarantined,
  findOrphans,
  type Leftover,
  type LeftoverOptions,
  listLeftovers,
  listQuarantined,
} from './orphan.ts'
import { type PathEvent, pathHistory } from './path-history.ts'
import { repairLayers, type Repaired, type RepairOptions } from './repair.ts'
import { registerLayer } from './register.ts'
import { registerStack } from './register-stack.ts'
import { restore, type SkippedRecord } from './restore.ts'
import { type Durability, requireOpen, requireWritable, type StoreContext } from './store-context.ts'
import { UnflushedLayers } from './unflushed.ts'
import { createWritable } from './writable-creation.ts'
import { StoredWritableLayer } from './writable-layer.ts'
import { findWritable } from './writable-lookup.ts'

export interface LayerStoreOptions extends CallOptions {
  /** The data root; records go to `<root>/image/<driver>/layerdb`. */
  readonly root: string
  /** Who keeps the layers. The store uses it and does not close it. */
  readonly driver: Driver
  /** Writes nothing, not even directories; releasing a layer deletes nothing. */
  readonly readOnly?: boolean | undefined
  /**
   * `safe`, the default: a registered layer survives a power cut. `fast` does not wait for the layer's data, nor
   * `registerStack` for its records, and `volatile` for nothing at all: after a power cut layers may be missing, or listed
   * with empty files. Those are found: what was registered so, and was not flushed by a later `safe` call, is verified when it
   * is first used after the machine was started anew, and GD_LAYER_CORRUPT tells of it; `repair` makes it again.
   */
  readonly durability?: Durability | undefined
  /**
   * Bounds on tars from elsewhere, on top of those that every reader of tars has (names of 4096 bytes, extension headers of
   * 1 MiB): what exceeds one is refused with GD_ARCHIVE_INVALID. By default ten million entries.
   */
  readonly limits?: Partial<ArchiveLimits> | undefined
  /** What tells this start of the machine from any other; by default what the kernel says. */
  readonly boot?: string | undefined
}

/** A layer store in a directory. */
export interface DirectoryLayerStore extends LayerStore {
  /** The records that could not be used when the store was opened. */
  readonly skipped: readonly SkippedRecord[]

  /** What `collect` would delete, and why. Only while no other process writes to the store. */
  leftovers(options?: LeftoverOptions): Promise<readonly Leftover[]>

  /**
   * Makes damaged layers again from tars that come from elsewhere, with all that stands on them. Nothing is deleted: what is
   * replaced is in quarantine. The store is of no use afterwards: open it again. Only while no other process writes to it.
   */
  repair(options: RepairOptions): Promise<Repaired>

  /**
   * What each layer of a stack does to a path, base first: those that do nothing to it are left out. Files of layers are not read.
   *
   * @param file absolute in the image; links in it are not followed
   * @throws GD_LAYER_NOT_FOUND, GD_LAYER_CORRUPT
   */
  history(top: ChainId, file: string, options?: CallOptions): Promise<readonly PathEvent[]>

  /** Layers that repairs have replaced. */
  quarantined(): Promise<readonly LayerId[]>
  /** Deletes them. Only while no other process writes to the store. */
  dropQuarantined(options?: CallOptions): Promise<readonly LayerId[]>

  /**
   * Reads the records again and asks the driver for every layer: what is not there, and what is there for nothing. Changes
   * nothing. Only while no other process writes to the store.
   */
  checkRecords(options?: CallOptions): AsyncIterable<Finding>

  /**
   * Reads every byte of image layers and compares it with what was registered: file by file, and all of a layer by its
   * DiffID. Changes nothing; a layer that goes meanwhile is passed over.
   *
   * @throws what reading throws, such as EIO; never for what is missing or has changed
   */
  checkContents(options?: ContentCheckOptions): AsyncIterable<Finding>
}

/**
 * Opens Docker's layerdb under a data root, making it if need be. Deletes nothing; `collect` does.
 *
 * It does not lock: take `lockStore` first where other processes may write.
 */
export async function openLayerStore(options: LayerStoreOptions): Promise<DirectoryLayerStore> {
  const layerdb = layerdbOf(options.root, options.driver.name)
  const readOnly = options.readOnly ?? false
  if (!readOnly) await mkdir(layerdb.directory, { recursive: true, mode: 0o700 })
  const context: StoreContext = {
    driver: options.driver,
    layerdb,
    durability: options.durability ?? 'safe',
    unflushed: await UnflushedLayers.read(layerdb, options.boot),
    readOnly,
    limits: { maxEntries: 10_000_000, ...options.limits },
    graph: new LayerGraph(),
    writable: new Map(),
    records: new KeyedMutex(),
    filesystem: new FilesystemSync(),
    pending: new Set(),
    indexed: undefined,
    closed: false,
  }
  return new OpenStore(context, await restore(context, options.signal))
}

class OpenStore implements DirectoryLayerStore {
  readonly driver: Driver
  readonly directory: string
  readonly skipped: readonly SkippedRecord[]
  readonly #context: StoreContext

  constructor(context: StoreContext, skipped: readonly SkippedRecord[]) {
    this.driver = context.driver
    this.directory = context.layerdb.directory
    this.skipped = skipped
    this.#context = context
  }

  async register(tar: TarStream, parent: ChainId | undefined, options: RegisterOptions = {}): Promise<Layer> {
    requireWritable(this.#context)
    const register = (): ReturnType<typeof registerLayer> =>
      registerLayer(this.#context, tar, parent, options)
    return new HeldLayer(this.#context, await this.#traced('register', undefined, register))
  }

  async registerStack(
    layers: readonly StackedLayer[],
    parent: ChainId | undefined,
    options: CallOptions = {},
  ): Promise<readonly Layer[]> {
    requireWritable(this.#context)
    const register = (): ReturnType<typeof registerStack> =>
      registerStack(this.#context, layers, parent, options)
    const nodes = await this.#traced('register-stack', undefined, register)
    return nodes.map((node) => new HeldLayer(this.#context, node))
  }

  async get(chainId: ChainId): Promise<Layer> {
    requireOpen(this.#context)
    return new HeldLayer(this.#context, await holdExisting(this.#context, chainId))
  }

  has(chainId: ChainId): boolean {
    return this.#context.graph.get(chainId) !== undefined
  }

  layers(): readonly LayerRecord[] {
    return this.#context.graph.records()
  }

  async createRWLayer(
    name: string,
    parent: ChainId | undefined,
    options: CreateRWLayerOptions = {},
  ): Promise<WritableLayer> {
    requireWritable(this.#context)
    options.signal?.throwIfAborted()
    const create = (): ReturnType<typeof createWritable> =>
      createWritable(this.#context, parseMountName(name), parent, options)
    const node = await this.#traced('create', name, create)
    return new StoredWritableLayer(this.#context, node)
  }

  async getRWLayer(name: string): Promise<WritableLayer> {
    requireOpen(this.#context)
    const context = this.#context
    const node = await context.records.exclusively(parseMountName(name), () => findWritable(context, name))
    if (node !== undefined) return new StoredWritableLayer(context, node)
    const message = `writable layer '${name}' is not in ${this.directory}; create it first`
    throw new GraphDriverError('GD_WRITABLE_LAYER_NOT_FOUND', message, { name })
  }

  writableLayers(): readonly WritableLayerRecord[] {
    return Array.from(this.#context.writable.values(), (node) => node.record)
  }

  async orphans(options: CallOptions = {}): Promise<readonly LayerId[]> {
    requireOpen(this.#context)
    return findOrphans(this.#context, options)
  }

  async collect(options: CallOptions = {}): Promise<readonly LayerId[]> {
    requireWritable(this.#context)
    return await this.#traced('collect', undefined, () => collectOrphans(this.#context, options))
  }

  leftovers(options: LeftoverOptions = {}): Promise<readonly Leftover[]> {
    requireOpen(this.#context)
    return listLeftovers(this.#context, options)
  }

  async repair(options: RepairOptions): Promise<Repaired> {
    requireWritable(this.#context)
    try {
      return await this.#traced('repair', undefined, () => repairLayers(this.#context, options))
    } finally {
      // What is known here are the old names.
      this.#context.closed = true
    }
  }

  async history(top: ChainId, file: string, options: CallOptions = {}): Promise<readonly PathEvent[]> {
    requireOpen(this.#context)
    return await pathHistory(this.#context, top, file, options)
  }

  async quarantined(): Promise<readonly LayerId[]> {
    requireOpen(this.#context)
    return (await listQuarantined(this.#context)).flatMap(({ layers }) => layers)
  }

  dropQuarantined(options: CallOptions = {}): Promise<readonly LayerId[]> {
    requireWritable(this.#context)
    return dropQuarantined(this.#context, options)
  }

  checkRecords(options: CallOptions = {}): AsyncIterable<Finding> {
    requireOpen(this.#context)
    return checkRecords(this.#context, this.skipped, options)
  }

  checkContents(options: ContentCheckOptions = {}): AsyncIterable<Finding> {
    requireOpen(this.#context)
    return checkContents(this.#context, options)
  }

  #traced<T>(
    operation: Operation['operation'],
    subject: string | undefined,
    action: () => Promise<T>,
  ): Promise<T> {
    return traced({ operation, driver: this.driver.name, subject }, action)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { closed, readOnly, indexed, graph, layerdb } = this.#context
    this.#context.closed = true
    if (!closed && !readOnly && indexed !== graph.revision) await writeIndex(layerdb, graph.records())
    await this.#context.filesystem[Symbol.asyncDispose]()
  }
}
