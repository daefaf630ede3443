/** The devices of one home: in its pool, in its records, and in the kernel. */
import { GraphDriverError, KeyedMutex } from '@graphdriver/core'
import { isSystemError, lockDirectory } from '@graphdriver/sys'
import { discardDevice } from '@graphdriver/sys/devicemapper'
import { ActiveDevices } from './active-devices.ts'
import { base, isRemovedName, metadataDirectory, randomRemovedName, type RecordName } from './layout.ts'
import type { DeviceMapperOptions } from './options.ts'
import type { Pool } from './pool.ts'
import {
  allDevices,
  type DeviceRecord,
  readDevice,
  recordNames,
  removeRecord,
  renameRecord,
  writeDevice,
} from './record.ts'
import { Transactions } from './transactions.ts'

/** In one process they wait here, and not at the lock. */
const turns = new KeyedMutex()

export class DeviceSet {
  readonly home: string
  readonly pool: Pool
  readonly options: DeviceMapperOptions
  readonly active: ActiveDevices
  readonly #transactions: Transactions

  constructor(home: string, prefix: string, pool: Pool, options: DeviceMapperOptions) {
    this.home = home
    this.pool = pool
    this.options = options
    this.active = new ActiveDevices(prefix, pool, options)
    this.#transactions = new Transactions(home, pool, this.active)
  }

  /** Runs an action while no other of this home runs, in whatever process. All the rest is to be called so. */
  locked<T>(action: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return turns.exclusively(this.home, async () => {
      using _ = await lockDirectory(metadataDirectory(this.home), 'exclusive', { signal })
      return await action()
    })
  }

  /** Undoes or finishes what processes left that died. @returns whether no device is left that is to go */
  async reap(): Promise<boolean> {
    await this.#transactions.settled()
    this.active.reap(recordNames(this.home))
    let clean = true
    for (const [name, { deleted }] of allDevices(this.home))
      if (deleted || isRemovedName(name)) clean = (await this.delete(name)) && clean
    return clean
  }

  /**
   * Makes an empty device, or a snapshot of another, and its record.
   *
   * @throws GD_NO_SPACE, GD_POOL_UNUSABLE
   */
  async create(name: RecordName, size: number, origin?: RecordName): Promise<DeviceRecord> {
    const status = await this.#transactions.settled()
    this.pool.demandRoom(status)
    const source = origin === undefined ? undefined : readDevice(this.home, origin)
    // A snapshot is taken of what is on the disk.
    using _ = origin === undefined ? undefined : this.active.hold(origin)
    return await this.#transactions.run(status, name, async (begin) => {
      const id = await this.#transactions.make(begin, source?.device_id)
      const transaction = status.transaction + 1
      const record = { device_id: id, size, transaction_id: transaction, initialized: false, deleted: false }
      await writeDevice(this.home, name, record)
      return record
    })
  }

  /**
   * Deletes a device with its record. Success when there is none.
   *
   * @returns false while somebody has it open: then it has a name of its own, and stays for later
   * @throws GD_LAYER_IN_USE where that is not wanted
   */
  async delete(name: RecordName): Promise<boolean> {
    const record = readDevice(this.home, name)
    if (record === undefined) return true
    const status = await this.#transactions.settled()
    if (!(await this.active.release(name))) {
      if (this.options.deferredDeletion === false) throw inUse(name, this.active.holdersOf(name))
      await this.#setAside(name, record)
      return false
    }
    await this.#transactions.run(status, name, async (begin) => {
      await begin(record.device_id)
      if (this.options.discard && record.size > 0) await this.#discard(name, record)
      await this.#transactions.forget(record.device_id)
      removeRecord(this.home, name)
    })
    return true
  }

  /** Makes a device larger, active or not. */
  async resize(name: RecordName, record: DeviceRecord, size: number): Promise<DeviceRecord> {
    const grown = { ...record, size }
    await writeDevice(this.home, name, grown)
    this.active.resize(name, grown)
    return grown
  }

  /** Takes down what nobody uses. */
  async stop(): Promise<void> {
    await this.active.deactivate(base)
    await this.active.stopPool()
  }

  /** What the layer alone has goes back to what is below the pool, which deleting it does not do. */
  async #discard(name: RecordName, record: DeviceRecord): Promise<void> {
    const node = this.active.activate(name, record)
    try {
      discardDevice(node, record.size)
    } catch (error) {
      // Devices that know no such thing.
      if (!isSystemError(error, 'EOPNOTSUPP', 'EIO')) throw error
    } finally {
      await this.active.release(name)
    }
  }

  /** Its name is free from now on, for the record and for the device, which goes when it can. */
  async #setAside(name: RecordName, record: DeviceRecord): Promise<void> {
    const removed = randomRemovedName()
    await renameRecord(this.home, name, removed)
    this.active.setAside(name, removed)
    // For dockerd, if it opens this home next.
    await writeDevice(this.home, removed, { ...record, deleted: true })
  }
}

function inUse(name: RecordName, users: readonly string[]): GraphDriverError<'GD_LAYER_IN_USE'> {
  const who = users.length > 0 ? users.join(', ') : 'something that shows no process'
  return new GraphDriverError(
    'GD_LAYER_IN_USE',
    `devicemapper: the device of layer ${name} is held by ${who}: end that, or set dm.use_deferred_deletion`,
    { id: name, users },
  )
}
