/**
 * The contract of a store of content-addressed layers over one driver.
 *
 * A `Layer` or `WritableLayer` is a reference, not just a description: while it is held the layer stays. Release it
 * when done; `await using` does. The store also counts what it knows itself: a layer below another, a layer below a
 * writable one. When the last reference to a layer goes, the layer is deleted, and then its parent is looked at.
 */
import type { CallOptions, Change, Driver, TarStream } from './driver.ts'
import type { ChainId, DiffId, LayerId } from './id.ts'
import type { Mount } from './mount.ts'

/** What is known of a layer, without holding it. */
export interface LayerRecord {
  readonly chainId: ChainId
  readonly diffId: DiffId
  readonly parent: ChainId | undefined
  /** The driver's name for it. */
  readonly cacheId: LayerId
  /** Bytes of this layer alone. */
  readonly diffSize: number
  /** Bytes of this layer and all below it. */
  readonly size: number
  /** 1 for a base layer. */
  readonly depth: number
}

/** A held image layer. Disposing it is `release`. */
export interface Layer extends LayerRecord, AsyncDisposable {
  /**
   * The layer's tar, byte for byte as it was registered, verified against its DiffID at the end.
   *
   * @throws GD_LAYER_CORRUPT while iterating
   */
  tar(options?: CallOptions): TarStream
  /** Bytes that `tar` will have, as the record of it tells; where there is none, by reading it. */
  tarSize(options?: CallOptions): Promise<number>
  /** The difference to an ancestor (to nothing when absent) as a newly made tar. */
  tarFrom(ancestor: ChainId | undefined, options?: CallOptions): TarStream
  /** Mounts the stack up to this layer, for reading. */
  mount(options?: CallOptions): Promise<Mount>
  /** The driver's description of it. */
  metadata(): Promise<Readonly<Record<string, string>>>
  /** Lets go; what became unneeded is deleted and listed, topmost first. Releasing twice is once. */
  release(): Promise<readonly LayerRecord[]>
}

/** What is known of a writable layer, without holding it. */
export interface WritableLayerRecord {
  readonly name: string
  readonly parent: ChainId | undefined
  /** The driver's name for it. */
  readonly mountId: LayerId
  /** The driver's name for the layer between image and container that the init hook wrote, if there is one. */
  readonly initId: LayerId | undefined
}

/** A writable layer, as a container has one. Dropping the object keeps the layer; `release` deletes it. */
export interface WritableLayer extends WritableLayerRecord {
  mount(options?: CallOptions & { readonly mountLabel?: string | undefined }): Promise<Mount>
  changes(options?: CallOptions): Promise<readonly Change[]>
  /** What was written, as a new tar. */
  diff(options?: CallOptions): TarStream
  /** Bytes that were written. */
  size(options?: CallOptions): Promise<number>
  applyDiff(tar: TarStream, options?: CallOptions): Promise<number>
  metadata(): Promise<Readonly<Record<string, string>>>
  /** Registers what was written as an image layer on the same parent. */
  commit(options?: CallOptions): Promise<Layer>
  /** Unmounts and deletes it; image layers that became unneeded are deleted and listed. */
  release(): Promise<readonly LayerRecord[]>
}

export interface RegisterOptions extends CallOptions {
  /** What the tar must hash to; anything else is `GD_DIGEST_MISMATCH` and leaves no layer. */
  readonly diffId?: DiffId | undefined
}

/** One layer of several that are registered on top of each other. */
export interface StackedLayer {
  readonly diffId: DiffId
  /** The uncompressed tar. Called again if the layer has to be registered once more. */
  readonly open: (options: CallOptions) => TarStream
  /** What to throw in the place of what went wrong with this layer. */
  readonly explain?: ((error: unknown) => Promise<unknown>) | undefined
  /** Hears that the layer was there already, and will not be read. */
  readonly onExisting?: (() => void) | undefined
}

export interface CreateRWLayerOptions extends CallOptions {
  readonly mountLabel?: string | undefined
  readonly storageOptions?: Readonly<Record<string, string>> | undefined
  /** Writes into a layer of its own between image and container, which no diff or commit will show. */
  readonly init?: ((root: string) => Promise<void>) | undefined
}

export interface LayerStore extends AsyncDisposable {
  readonly driver: Driver
  /** Where the records are. */
  readonly directory: string

  /**
   * Reads an uncompressed tar to its end and adds it on top of `parent`. A layer that is already there is returned
   * as it is, the tar having been read and verified all the same.
   *
   * @throws GD_LAYER_NOT_FOUND (the parent), GD_MAX_DEPTH, GD_DIGEST_MISMATCH and what `Driver.applyDiff` throws
   */
  register(tar: TarStream, parent: ChainId | undefined, options?: RegisterOptions): Promise<Layer>

  /**
   * Adds layers on top of each other, base first: all of them, or on failure and abort none that was not there. Those
   * that are there are not read. Several are unpacked at a time where the driver can, and all become durable at once.
   *
   * @returns all of them, in the same order
   * @throws as `register`
   */
  registerStack(
    layers: readonly StackedLayer[],
    parent: ChainId | undefined,
    options?: CallOptions,
  ): Promise<readonly Layer[]>

  /** @throws GD_LAYER_NOT_FOUND */
  get(chainId: ChainId): Promise<Layer>
  has(chainId: ChainId): boolean
  /** All image layers, each after its parent. */
  layers(): readonly LayerRecord[]

  /** @throws GD_NAME_CONFLICT, GD_LAYER_NOT_FOUND */
  createRWLayer(
    name: string,
    parent: ChainId | undefined,
    options?: CreateRWLayerOptions,
  ): Promise<WritableLayer>
  /** @throws GD_WRITABLE_LAYER_NOT_FOUND */
  getRWLayer(name: string): Promise<WritableLayer>
  writableLayers(): readonly WritableLayerRecord[]

  /** Layers that the driver holds and no record names: what a crash left. */
  orphans(options?: CallOptions): Promise<readonly LayerId[]>
  /** Deletes orphans and unfinished transactions. Only while no other process writes to the store. */
  collect(options?: CallOptions): Promise<readonly LayerId[]>
}
