/**
 * # What a storage driver is
 *
 * A container image is a stack of **layers**. Each layer is a set of changes: files added or replaced, and
 * **whiteouts** that hide what a lower layer had. A storage driver keeps such layers on some filesystem and makes
 * any stack of them visible as one root filesystem, sharing what can be shared.
 *
 * A driver does not know images, names, digests or registries. It knows ids that its caller drew, and for each id
 * at most one parent. Everything else is composed above it: the layer store gives content-addressed layers, the
 * image package gives names.
 *
 * ## The life of a layer
 *
 * **Building an image layer.** The caller has a tar and the id of the layer below.
 *
 * ```ts
 * await driver.create(layer, { parent: base })       // starts as a copy of its parent, by whatever trick
 * const size = await driver.applyDiff(layer, base, tar) // the changes land in it
 * ```
 *
 * From here on the layer is only read. A driver may rely on that: overlay2 mounts it read-only once it has a child.
 * If `applyDiff` fails the layer is half made, and the caller must `remove` it.
 *
 * **Running a container.** A writable layer is one more layer on top:
 *
 * ```ts
 * await driver.createReadWrite(container, { parent: layer })
 * {
 *   await using root = await driver.get(container)   // mounted; root.path is the root filesystem
 *   await run(root.path)
 * }                                                  // put: the last user unmounts
 * ```
 *
 * `get` is counted: two callers share one mount and one path, and the mount goes when both are done. What was
 * written stays in the layer until `remove`.
 *
 * **Seeing what changed, and keeping it.**
 *
 * ```ts
 * await driver.changes(container, layer)              // [{ path: '/etc/motd', kind: 'modify' }, …]
 * for await (const chunk of driver.diff(container, layer)) …   // the same as a tar, ready for applyDiff
 * ```
 *
 * **Going away.** `remove` of a layer that does not exist is success, because the caller may be repeating itself
 * after a crash. A driver does not track children: removing a parent under them is the caller's mistake, which the
 * layer store never makes.
 *
 * ## What every driver promises
 *
 * - A call that fails leaves no half of itself: no directory, mount, loop device or snapshot that `remove` of the
 *   same id would not clear.
 * - The process may die at any instruction. The next `open` of the same home sees every layer whose `create` and
 *   `applyDiff` had returned, and can `remove` any that had not.
 * - Paths inside a tar are hostile. Nothing outside of the layer's root is read, written or removed.
 * - Every method may be called concurrently, for the same id too.
 * - `signal` is honoured where a call can take long. An aborted call rejects with the signal's reason and, like
 *   any failed call, leaves nothing behind but what `remove` clears.
 */
import type { Capabilities } from './capabilities.ts'
import type { IdMap } from './id-map.ts'
import type { LayerId } from './id.ts'
import type { Mount } from './mount.ts'

export interface CallOptions {
  readonly signal?: AbortSignal | undefined
}

export interface CreateOptions extends CallOptions {
  /** The layer this one starts as a copy of; absent for a base layer. */
  readonly parent?: LayerId | undefined
  /** SELinux context of the files, where the driver can apply one. */
  readonly mountLabel?: string | undefined
  /** Per-layer options, `size` and `inodes` (see `Quota`); a key the driver does not know is `GD_INVALID_OPTION`. */
  readonly storageOptions?: Readonly<Record<string, string>> | undefined
}

export interface GetOptions extends CallOptions {
  /** SELinux context to mount with. */
  readonly mountLabel?: string | undefined
}

/** What differs in a layer: `path` is absolute inside the layer, with `/` between components. */
export interface Change {
  readonly path: string
  readonly kind: 'modify' | 'add' | 'delete'
}

/** What a layer may hold beside what it shares with the layers below. */
export interface Quota {
  /** Bytes. */
  readonly size?: number | undefined
  /** Files, directories and whatever else has a name. */
  readonly inodes?: number | undefined
}

/** What a layer holds, as the filesystem has counted: what was just written may come later. */
export interface Usage {
  readonly bytes: number
  /** Absent where these are not counted. */
  readonly inodes?: number | undefined
}

/** One row of a driver's description of itself, in the words and order Docker shows them. */
export type StatusRow = readonly [key: string, value: string]

/** The bytes of an uncompressed layer tar in AUFS whiteout format. Leaving the loop early releases everything. */
export type TarStream = AsyncIterable<Uint8Array>

/** The least that a backend must be able to do: make trees, show them, remove them. */
export interface ProtoDriver extends AsyncDisposable {
  /** The name under which the driver's data lives: `<root>/<name>`. */
  readonly name: string
  /** Absolute path of the driver's own directory. */
  readonly home: string
  readonly capabilities: Capabilities

  /**
   * Makes an image layer, at first equal to its parent (or empty).
   *
   * @throws GD_LAYER_NOT_FOUND (the parent), GD_LAYER_EXISTS, GD_MAX_DEPTH, GD_INVALID_OPTION
   */
  create(id: LayerId, options?: CreateOptions): Promise<void>

  /** Makes a layer for a container to write in. Same form and errors as `create`; quotas apply here. */
  createReadWrite(id: LayerId, options?: CreateOptions): Promise<void>

  /**
   * Unmounts and deletes the layer. Success when there is none. A layer of many files is gone as a layer when this returns, and
   * its files may go on being deleted: `cleanup` waits for that, and after a crash whoever opens the home goes on with it.
   */
  remove(id: LayerId, options?: CallOptions): Promise<void>

  /**
   * Makes the layer visible and takes one reference on it.
   *
   * @throws GD_LAYER_NOT_FOUND
   */
  get(id: LayerId, options?: GetOptions): Promise<Mount>

  /**
   * The same with other owners, for a container in a user namespace: nothing is copied nor changed. What the map does not have
   * belongs to nobody (65534), and only its readers can do something with it. What is written has the layer's owners on the disk,
   * so that it can be committed, or be shown by another map another time.
   *
   * A driver that stacks shows a layer one way at a time. Drivers that cannot on any host leave it out.
   *
   * @throws GD_LAYER_NOT_FOUND, GD_INVALID_OPTION, GD_LAYER_IN_USE (by who has it another way), GD_DRIVER_UNSUPPORTED (this kernel,
   *   filesystem or privilege)
   */
  getMapped?(id: LayerId, ids: IdMap, options?: GetOptions): Promise<Mount>

  /**
   * Drops one reference by id, for callers that do not hold the `Mount` (a plugin protocol, a runtime that was
   * restarted). Harmless for a layer that is not mounted or not known.
   */
  put(id: LayerId): Promise<void>

  exists(id: LayerId): Promise<boolean>

  /** Every layer id under the driver's home, in no particular order. */
  layers(options?: CallOptions): AsyncIterable<LayerId>

  /** Rows for people, such as the backing filesystem. */
  status(): Promise<readonly StatusRow[]>

  /**
   * What a tool may want to know of one layer, with Docker's keys (`UpperDir`, `MergedDir`, …).
   *
   * @throws GD_LAYER_NOT_FOUND
   */
  metadata(id: LayerId): Promise<Readonly<Record<string, string>>>

  /**
   * Changes what a layer may hold that was made with a `size` or `inodes`, mounted or not. What is left out stays. Less
   * than the layer has is no error where the filesystem counts: it takes nothing more until something is removed.
   * Drivers without quotas leave it out.
   *
   * @throws GD_LAYER_NOT_FOUND, GD_INVALID_OPTION
   */
  setQuota?(id: LayerId, quota: Quota): Promise<void>

  /**
   * What a layer holds, from counters: its cost does not depend on the layer.
   *
   * @returns undefined for a layer that nobody counts: it was made without a `size` or `inodes`
   * @throws GD_LAYER_NOT_FOUND
   */
  usage?(id: LayerId): Promise<Usage | undefined>

  /** Releases what the driver itself holds, on shutdown. Deletes no data; repeating it is harmless. */
  cleanup(): Promise<void>
}

/** What can be derived from a `ProtoDriver` by walking two trees, and often be had more cheaply. */
export interface DiffDriver {
  /**
   * The changes of `id` relative to `parent` (to nothing when absent) as a tar.
   *
   * @throws GD_LAYER_NOT_FOUND while iterating
   */
  diff(id: LayerId, parent: LayerId | undefined, options?: CallOptions): TarStream

  /** The same as a list, sorted by path bytes, each directory before what is in it. */
  changes(id: LayerId, parent: LayerId | undefined, options?: CallOptions): Promise<readonly Change[]>

  /**
   * Extracts an uncompressed layer tar into `id`, which was made by `create(id, { parent })` and not touched
   * since. Reads `tar` to its end, or leaves it early on failure.
   *
   * @returns the size of the layer's own content in bytes
   * @throws GD_LAYER_NOT_FOUND, GD_ARCHIVE_INVALID, GD_ARCHIVE_BREAKOUT, GD_ARCHIVE_UNSUPPORTED
   */
  applyDiff(id: LayerId, parent: LayerId | undefined, tar: TarStream, options?: CallOptions): Promise<number>

  /**
   * The same beside other layers of its stack, and begun while those below are still being applied to: `below` resolves
   * when they are complete. Only
   * drivers have it whose layers are made of nothing but their own tar; elsewhere a layer starts as a copy of its parent.
   *
   * @throws what `below` rejects with, and as `applyDiff`
   */
  applyBeside?(
    id: LayerId,
    parent: LayerId | undefined,
    tar: TarStream,
    below: Promise<unknown>,
    options?: CallOptions,
  ): Promise<number>

  /** Size of what `id` adds to `parent`, in bytes of file content, each hard-linked file once. */
  diffSize(id: LayerId, parent: LayerId | undefined, options?: CallOptions): Promise<number>

  /**
   * A directory in which every file of the layer's own tar can be read by its name. Cheaper than `get` where the
   * layer's own files lie in one place; drivers without such a place leave it out, and `get` serves.
   */
  ownFiles?(id: LayerId): Promise<Mount>
}

/** A complete storage driver. Disposing it is `cleanup`. */
export type Driver = ProtoDriver & DiffDriver
