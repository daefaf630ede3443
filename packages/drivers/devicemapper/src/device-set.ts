/**
 * The devices of one home, and Docker's protocol of making and deleting them: what is begun is written down with the number
 * that the pool's transaction will have, then done, recorded, and the pool told the number. Who finds a number that the
 * pool has not reached yet undoes what was begun.
 */
import { setTimeout } from 'node:timers/promises'
import { GraphDriverError, KeyedMutex } from '@graphdriver/core'
import { isSystemError, lockDirectory } from '@graphdriver/sys'
import {
  activateDevice,
  deviceNode,
  deviceState,
  discardDevice,
  keepDevice,
  listDevices,
  loadTable,
  removeDevice,
  renameDevice,
  resumeDevice,
  suspendDevice,
} from '@graphdriver/sys/devicemapper'
import {
  base,
  deviceName,
  isRecordName,
  isRemovedName,
  metadataDirectory,
  randomRemovedName,
  type RecordName,
} from './layout.ts'
import type { DeviceMapperOptions } from './options.ts'
import type { Pool } from './pool.ts'
import {
  type DeviceRecord,
  mostDevices,
  readDevice,
  readTransaction,
  recordNames,
  removeRecord,
  removeTransaction,
  renameRecord,
  type TransactionRecord,
  writeDevice,
  writeTransaction,
} from './record.ts'
import { type PoolStatus, thinTarget } from './thin-pool.ts'

/** In one process they wait here, and not at the lock. */
const turns = new KeyedMutex()

/** Tries and milliseconds for a device that something looks at for a moment, as udev does at each new one. */
const patience: { readonly tries: number; readonly pause: number } = { tries: 20, pause: 50 }

export class DeviceSet {
  readonly home: string
  readonly prefix: string
  readonly pool: Pool
  readonly options: DeviceMapperOptions
  /** The number that the last device got. */
  #lastId = 0

  constructor(home: string, prefix: string, pool: Pool, options: DeviceMapperOptions) {
    this.home = home
    this.prefix = prefix
    this.pool = pool
    this.options = options
  }

  /** Runs an action while no other of this home runs, in whatever process. */
  locked<T>(action: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return turns.exclusively(this.home, async () => {
      using _ = await lockDirectory(metadataDirectory(this.home), 'exclusive', { signal })
      return await action()
    })
  }

  /**
   * Makes an empty device, or a snapshot of another, and its record. Under the lock.
   *
   * @throws GD_NO_SPACE, GD_POOL_UNUSABLE
   */
  async create(name: RecordName, size: number, origin?: RecordName): Promise<DeviceRecord> {
    const status = await this.settled()
    this.pool.demandRoom(status)
    const source = origin === undefined ? undefined : readDevice(this.home, origin)
    const held = origin === undefined ? undefined : this.#hold(origin)
    try {
      return await this.#transact(status, name, async (begin) => {
        const id = await this.#make(begin, source?.device_id)
        try {
          const record = {
            device_id: id,
            size,
            transaction_id: status.transaction + 1,
            initialized: false,
            deleted: false,
          }
          await writeDevice(this.home, name, record)
          return record
        } catch (error) {
          this.pool.tell('delete', id)
          throw error
        }
      })
    } finally {
      held?.()
    }
  }

  /** A snapshot is taken of what is on the disk: a device that is used is held meanwhile, with its filesystem at rest. */
  #hold(origin: RecordName): (() => void) | undefined {
    const name = this.deviceName(origin)
    if (deviceState(name)?.active !== true) return undefined
    suspendDevice(name)
    return () => void resumeDevice(name)
  }

  async #make(begin: (id: number) => Promise<void>, origin: number | undefined): Promise<number> {
    for (let id = this.#next(this.#lastId); ; id = this.#free()) {
      await begin(id)
      try {
        if (origin === undefined) this.pool.tell('create_thin', id)
        else this.pool.tell('create_snap', id, origin)
        this.#lastId = id
        return id
      } catch (error) {
        if (!isSystemError(error, 'EEXIST')) throw error
        this.#lastId = id
      }
    }
  }

  #next(id: number): number {
    return id >= mostDevices ? 1 : id + 1
  }

  /** A number that no record has, after the last. */
  #free(): number {
    const used = new Set(this.#records().map(([, { device_id: id }]) => id))
    let id = this.#next(this.#lastId)
    while (used.has(id)) id = this.#next(id)
    return id
  }

  #records(): readonly (readonly [name: RecordName, record: DeviceRecord])[] {
    return recordNames(this.home).flatMap((name) => {
      const record = readDevice(this.home, name)
      return record === undefined ? [] : [[name, record] as const]
    })
  }

  /**
   * Deletes a device with its record. Under the lock.
   *
   * @returns false while somebody has it open: then it has a name of its own, and stays for later
   */
  async delete(name: RecordName): Promise<boolean> {
    const record = readDevice(this.home, name)
    if (record === undefined) return true
    const status = await this.settled()
    if (!(await this.#release(this.deviceName(name)))) {
      if (this.options.deferredDeletion === false) throw inUse(name)
      await this.#setAside(name)
      return false
    }
    await this.#transact(status, name, async (begin) => {
      await begin(record.device_id)
      if (this.options.discard) await this.#discard(name, record)
      await this.#forget(record.device_id)
      removeRecord(this.home, name)
    })
    return true
  }

  /** What the layer alone has goes back to what is below the pool, which deleting it does not do. */
  async #discard(name: RecordName, record: DeviceRecord): Promise<void> {
    const node = this.activate(name, record)
    try {
      discardDevice(node, record.size)
    } catch (error) {
      // Devices that know no such thing.
      if (!isSystemError(error, 'EOPNOTSUPP', 'EIO')) throw error
    } finally {
      await this.#release(this.deviceName(name))
    }
  }

  /** From the pool. One that is gone is what was wanted; one that goes with its last user is gone a little later. */
  async #forget(id: number): Promise<void> {
    for (let left = patience.tries; ; left--) {
      try {
        this.pool.tell('delete', id)
        return
      } catch (error) {
        if (isSystemError(error, 'ENODATA')) return
        if (!isSystemError(error, 'EBUSY') || left === 0) throw error
        await setTimeout(patience.pause)
      }
    }
  }

  async #release(device: string): Promise<boolean> {
    for (let left = patience.tries; ; left--) {
      try {
        if (deviceState(device)?.suspended === true) resumeDevice(device)
        removeDevice(device)
        return true
      } catch (error) {
        if (!isSystemError(error, 'EBUSY')) throw error
        // With more than one user it is no passing look.
        if (left === 0) return false
        await setTimeout(patience.pause)
      }
    }
  }

  /** Its name is free from now on, for the record and for the device, which goes when it can. */
  async #setAside(name: RecordName): Promise<void> {
    const removed = randomRemovedName()
    await renameRecord(this.home, name, removed)
    renameDevice(this.deviceName(name), this.deviceName(removed))
    removeDevice(this.deviceName(removed), { deferred: true })
    const record = readDevice(this.home, removed)
    // For dockerd, if it opens this home next.
    if (record !== undefined) await writeDevice(this.home, removed, { ...record, deleted: true })
  }

  /** Makes a device usable. Under the lock. @returns its node */
  activate(name: RecordName, record: DeviceRecord): string {
    const device = this.deviceName(name)
    const state = deviceState(device)
    if (state?.suspended === true) resumeDevice(device)
    if (state?.active === true && (!state.removing || keepDevice(device))) return deviceNode(state)
    // One without a table is what a process left that died.
    if (state?.active === false) removeDevice(device)
    return deviceNode(activateDevice(device, [thinTarget(record.size, this.pool.number, record.device_id)]))
  }

  /** Success when it is not active; one that is open goes with its last user, or stays. Under the lock. */
  async deactivate(name: RecordName): Promise<void> {
    if (this.options.deferredRemoval === false) await this.#release(this.deviceName(name))
    else removeDevice(this.deviceName(name), { deferred: true })
  }

  /** Makes a device larger, active or not. Under the lock. */
  async resize(name: RecordName, record: DeviceRecord, size: number): Promise<DeviceRecord> {
    const grown = { ...record, size }
    await writeDevice(this.home, name, grown)
    const device = this.deviceName(name)
    if (deviceState(device)?.active !== true) return grown
    loadTable(device, [thinTarget(size, this.pool.number, record.device_id)])
    suspendDevice(device)
    resumeDevice(device)
    return grown
  }

  /** Takes the pool down, unless something in it is used. Under the lock. */
  async stop(): Promise<void> {
    await this.deactivate(base)
    if (this.pool.source.kind === 'given') return
    for (let left = patience.tries; !this.pool.stop() && left > 0 && !this.#isUsed(); left--)
      await setTimeout(patience.pause)
  }

  /** By more than devices that are about to go. */
  #isUsed(): boolean {
    return listDevices().some((device) => {
      if (!device.startsWith(`${this.prefix}-`) || device === this.pool.name) return false
      const state = deviceState(device)
      return state !== undefined && !(state.removing && state.openCount === 0)
    })
  }

  deviceName(name: RecordName): string {
    return deviceName(this.prefix, name)
  }

  /** How the pool is, when what a process left that died is undone. Under the lock. @throws as `Pool.ensureWritable` */
  async settled(): Promise<PoolStatus> {
    const status = this.pool.ensureWritable()
    const begun = readTransaction(this.home)
    if (begun === undefined) return status
    if (begun.open_transaction_id <= status.transaction) {
      this.#lastId = Math.max(this.#lastId, begun.device_id)
      return status
    }
    await this.#undo(begun)
    return status
  }

  async #undo({ device_hash: hash, device_id: id }: TransactionRecord): Promise<void> {
    const name = hash === '' ? base : hash
    if (!isRecordName(name)) return removeTransaction(this.home)
    // It may have died before it knew that the number was another's.
    if (!this.#records().some(([other, record]) => record.device_id === id && other !== name)) {
      await this.#release(this.deviceName(name))
      await this.#forget(id)
    }
    removeRecord(this.home, name)
    removeTransaction(this.home)
  }

  /**
   * @param begin is told the number of the device that is about to be made or deleted, as often as it changes
   */
  async #transact<T>(
    status: PoolStatus,
    name: RecordName,
    action: (begin: (id: number) => Promise<void>) => Promise<T>,
  ): Promise<T> {
    const open = status.transaction + 1
    const hash = name === base ? '' : name
    try {
      const result = await action((id) =>
        writeTransaction(this.home, { open_transaction_id: open, device_hash: hash, device_id: id }),
      )
      this.pool.tell('set_transaction_id', status.transaction, open)
      return result
    } catch (error) {
      // What is left, if anything, the next one undoes.
      await this.settled().catch(() => undefined)
      throw error
    }
  }

  /** Devices that were to go, and those that nobody uses. Under the lock. @returns whether none is left that was to go */
  async reap(): Promise<boolean> {
    const names = recordNames(this.home)
    const known = new Map(names.map((name) => [this.deviceName(name), name]))
    for (const device of listDevices()) {
      if (!device.startsWith(`${this.prefix}-`) || device === this.pool.name) continue
      const state = deviceState(device)
      if (state === undefined) continue
      if (state.suspended) resumeDevice(device)
      // Whoever has just activated one holds the lock.
      if (state.openCount === 0 || known.get(device) === undefined) removeDevice(device, { deferred: true })
    }
    let clean = true
    for (const [name, { deleted }] of this.#records())
      if (deleted || isRemovedName(name)) clean = (await this.delete(name)) && clean
    return clean
  }
}

function inUse(name: RecordName): GraphDriverError<'GD_LAYER_IN_USE'> {
  return new GraphDriverError(
    'GD_LAYER_IN_USE',
    `devicemapper: the device of layer ${name} is open: end who uses it (a mount in another namespace, a process), or set ` +
      'dm.use_deferred_deletion',
    { id: name, users: [] },
  )
}
