/** Snapshots on a driver: containerd's words, with a layer for each snapshot but views. */
import path from 'node:path'
import {
  type DriverDefinition,
  type DriverOptions,
  hostOf,
  KeyedMutex,
  type LayerId,
  type Mount,
  randomLayerId,
} from '@graphdriver/core'
import { Deletions } from './deletions.ts'
import { DriverThread } from './driver-thread.ts'
import { SnapshotError } from './error.ts'
import type { Predicate } from './filter.ts'
import { changedLabels } from './labels.ts'
import { RecordFiles, type SnapshotRecord, type SnapshotUsage } from './record.ts'
import type { SnapshotDriver } from './snapshot-driver.ts'
import { SnapshotIndex } from './snapshot-index.ts'

/** As containerd mounts it. */
export interface SnapshotMount {
  readonly type: string
  readonly source: string
  readonly options: readonly string[]
}

export interface SnapshotsOptions {
  readonly definition: DriverDefinition
  /**
   * Of the module that exports the definition, as `resolveDriver` finds it: then the driver runs in a thread of its own,
   * and a disk that stalls keeps nobody from what is in memory.
   */
  readonly module?: URL | undefined
  readonly driverOptions?: DriverOptions | undefined
  /** Absolute. The driver's home is `<root>/<driver>`, and the records' `<root>/snapshots/<driver>`. */
  readonly root: string
  /** Hears of deletions that failed; they are tried again by `cleanup`, and when it is opened again. */
  readonly onFailure?: ((what: string, error: unknown) => void) | undefined
}

export interface Preparation {
  readonly key: string
  /** Undefined for one that starts empty. */
  readonly parent: string | undefined
  readonly labels: Readonly<Record<string, string>>
}

export class Snapshots implements AsyncDisposable {
  readonly driver: SnapshotDriver
  readonly #files: RecordFiles
  readonly #index: SnapshotIndex
  readonly #deletions: Deletions
  /** What this process has mounted, by key. */
  readonly #mounted = new Map<string, Mount>()
  /** Calls for one key wait for each other; others do not. */
  readonly #turns = new KeyedMutex()

  private constructor(
    driver: SnapshotDriver,
    files: RecordFiles,
    index: SnapshotIndex,
    deletions: Deletions,
  ) {
    this.driver = driver
    this.#files = files
    this.#index = index
    this.#deletions = deletions
  }

  /**
   * Opens what is there. What a process that died left is put right: a layer without a snapshot is deleted in the
   * background, a snapshot that was committed and not yet forgotten under its key is.
   *
   * @throws GD_IN_USE for a root that another process has open; what the driver throws, GD_STORE_CORRUPT
   */
  static async open(options: SnapshotsOptions): Promise<Snapshots> {
    const { definition, root, onFailure } = options
    const files = await RecordFiles.open(path.join(root, 'snapshots', definition.name))
    let driver: SnapshotDriver | undefined
    try {
      driver = await openDriver(options)
      const index = new SnapshotIndex(await files.read())
      for (const { key } of index.superseded()) {
        await files.remove(key)
        index.remove(key)
      }
      const deletions = new Deletions(driver, onFailure)
      for await (const layer of driver.layers()) if (!index.hasLayer(layer)) deletions.add(layer)
      return new Snapshots(driver, files, index, deletions)
    } catch (error) {
      await driver?.[Symbol.asyncDispose]()
      files[Symbol.dispose]()
      throw error
    }
  }

  /** From memory. @throws SnapshotError `not-found` */
  stat(key: string): SnapshotRecord {
    return this.#index.demand(key)
  }

  /** From memory. */
  *list(predicate: Predicate): Iterable<SnapshotRecord> {
    for (const record of this.#index.all()) if (predicate(record)) yield record
  }

  /** A snapshot to write in. @throws SnapshotError `exists`, `not-found`, `invalid` for a parent that is not committed */
  prepare(preparation: Preparation): Promise<readonly SnapshotMount[]> {
    return this.#make(preparation, 'active')
  }

  /** A snapshot to look at. @throws as `prepare` */
  view(preparation: Preparation): Promise<readonly SnapshotMount[]> {
    return this.#make(preparation, 'view')
  }

  /** @throws SnapshotError `not-found`, `precondition` for a committed one */
  mounts(key: string): Promise<readonly SnapshotMount[]> {
    return this.#turns.exclusively(key, async () => {
      const record = this.#index.demand(key)
      if (record.kind === 'committed')
        throw new SnapshotError('precondition', `snapshot ${key} is committed; make one on it to mount`)
      return this.#mount(record)
    })
  }

  /** Its layer is a layer for others to be on from now on; nothing is copied. */
  commit(name: string, key: string, labels: Readonly<Record<string, string>>): Promise<void> {
    return this.#turns.exclusively(key, async () => {
      const active = this.#index.demand(key)
      if (active.kind !== 'active')
        throw new SnapshotError('precondition', `snapshot ${key} is no active one to commit`)
      using _ = this.#index.reserve(name)
      await this.#unmount(active)
      const usage = await this.#measure(active)
      const times = { created: Date.now(), updated: Date.now() }
      const committed: SnapshotRecord = { ...active, ...times, key: name, kind: 'committed', labels, usage }
      // Two files: where a process dies between them, the committed one counts.
      await this.#files.write(committed)
      this.#index.put(committed)
      this.#index.remove(key)
      await this.#files.remove(key)
    })
  }

  /** Gone when this returns; what it had is deleted later. @throws SnapshotError `not-found`, `precondition` */
  remove(key: string): Promise<void> {
    return this.#turns.exclusively(key, async () => {
      const record = this.#index.demand(key)
      const child = this.#index.childOf(key)
      if (child !== undefined)
        throw new SnapshotError('precondition', `snapshot ${key} has ${child} on it; remove that first`)
      // At once, so that nobody begins a child of it.
      this.#index.remove(key)
      try {
        await this.#unmount(record)
        await this.#files.remove(key)
      } catch (error) {
        this.#index.put(record)
        throw error
      }
      if (!this.#index.hasLayer(record.layer)) this.#deletions.add(record.layer)
    })
  }

  /**
   * Changes labels.
   *
   * @param paths `labels`, or `labels.<name>` each; none for all labels
   * @throws SnapshotError `not-found`, `invalid` for what cannot be changed
   */
  update(
    key: string,
    labels: Readonly<Record<string, string>>,
    paths: readonly string[],
  ): Promise<SnapshotRecord> {
    return this.#turns.exclusively(key, async () => {
      const record = this.#index.demand(key)
      const changed = { ...record, labels: changedLabels(record.labels, labels, paths), updated: Date.now() }
      await this.#files.write(changed)
      this.#index.put(changed)
      return changed
    })
  }

  /** What it has beside its parent; of a committed one from its record. @throws SnapshotError `not-found` */
  async usage(key: string): Promise<SnapshotUsage> {
    const record = this.#index.demand(key)
    if (record.usage !== undefined) return record.usage
    return record.kind === 'view' ? { size: 0, inodes: 0 } : this.#measure(record)
  }

  /** Waits until all that was removed is deleted, as far as it can be. */
  cleanup(): Promise<void> {
    return this.#deletions.settled()
  }

  /** Mounts stay, for containers that run on. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#deletions[Symbol.asyncDispose]()
    await this.driver[Symbol.asyncDispose]()
    this.#files[Symbol.dispose]()
  }

  #make({ key, parent, labels }: Preparation, kind: 'active' | 'view'): Promise<readonly SnapshotMount[]> {
    return this.#turns.exclusively(key, async () => {
      using _ = this.#index.reserve(key)
      using below = parent === undefined ? undefined : this.#index.holdParent(parent)
      const layer = await this.#layerFor(kind, below?.record.layer)
      const now = Date.now()
      const record: SnapshotRecord = { key, kind, parent, layer, labels, created: now, updated: now }
      try {
        // A layer without a record is deleted when this is opened again.
        await this.#files.write(record)
        this.#index.put(record)
        return await this.#mount(record)
      } catch (error) {
        await this.#files.remove(key)
        this.#index.remove(key)
        if (!this.#index.hasLayer(layer)) this.#deletions.add(layer)
        throw error
      }
    })
  }

  /** Of a view the very layer that it shows: nobody writes to that. */
  async #layerFor(kind: 'active' | 'view', parent: LayerId | undefined): Promise<LayerId> {
    if (kind === 'view' && parent !== undefined) return parent
    const layer = randomLayerId()
    try {
      await this.driver.createReadWrite(layer, { parent })
      return layer
    } catch (error) {
      this.#deletions.add(layer)
      throw error
    }
  }

  /** The driver mounts it here once, and containerd binds that wherever it wants it. */
  async #mount({ key, kind, layer }: SnapshotRecord): Promise<readonly SnapshotMount[]> {
    const mounted = this.#mounted.get(key) ?? (await this.driver.get(layer))
    this.#mounted.set(key, mounted)
    const access = kind === 'view' ? 'ro' : 'rw'
    return [{ type: 'bind', source: mounted.path, options: ['rbind', access] }]
  }

  async #unmount({ key, layer, kind }: SnapshotRecord): Promise<void> {
    const mounted = this.#mounted.get(key)
    this.#mounted.delete(key)
    await mounted?.[Symbol.asyncDispose]()
    // A process before this one may have mounted it too.
    if (kind === 'active') await this.driver.put(layer)
  }

  async #measure({ layer, parent }: SnapshotRecord): Promise<SnapshotUsage> {
    const below = parent === undefined ? undefined : this.#index.demand(parent).layer
    const [size, changes] = await Promise.all([
      this.driver.diffSize(layer, below),
      this.driver.changes(layer, below),
    ])
    return { size, inodes: changes.filter(({ kind }) => kind !== 'delete').length }
  }
}

async function openDriver({
  definition,
  module,
  driverOptions = {},
  root,
}: SnapshotsOptions): Promise<SnapshotDriver> {
  if (module !== undefined) return DriverThread.open({ module: module.href, root, driverOptions })
  return definition.open(hostOf(definition, { root, options: driverOptions }))
}
