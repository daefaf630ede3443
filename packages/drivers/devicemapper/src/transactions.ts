/**
 * Docker's protocol of making and deleting devices in a pool: what is begun is written down with the number that the pool's
 * transaction will have, then done, recorded, and the pool told the number. Who finds a number that the pool has not
 * reached yet undoes what was begun. All under the device set's lock.
 */
import { isSystemError } from '@graphdriver/sys'
import { type ActiveDevices, patiently } from './active-devices.ts'
import { base, isRecordName, randomRemovedName, type RecordName } from './layout.ts'
import type { Pool } from './pool.ts'
import {
  allDevices,
  mostDevices,
  readTransaction,
  removeRecord,
  removeTransaction,
  type TransactionRecord,
  writeDevice,
  writeTransaction,
} from './record.ts'
import type { PoolStatus } from './thin-pool.ts'

/** Is told the number of the device that is about to be made or deleted, as often as it changes. */
export type Begin = (id: number) => Promise<void>

export class Transactions {
  readonly #home: string
  readonly #pool: Pool
  readonly #active: ActiveDevices
  /** The number that the last device got. */
  #lastId = 0

  constructor(home: string, pool: Pool, active: ActiveDevices) {
    this.#home = home
    this.#pool = pool
    this.#active = active
  }

  /** How the pool is, when what a process left that died is undone. @throws as `Pool.ensureWritable` */
  async settled(): Promise<PoolStatus> {
    const status = this.#pool.ensureWritable()
    const begun = readTransaction(this.#home)
    if (begun === undefined) return status
    if (begun.open_transaction_id > status.transaction) await this.#undo(begun)
    else this.#lastId = Math.max(this.#lastId, begun.device_id)
    return status
  }

  /** Does something that makes or deletes a device. */
  async run<T>(status: PoolStatus, name: RecordName, action: (begin: Begin) => Promise<T>): Promise<T> {
    const open = status.transaction + 1
    const hash = name === base ? '' : name
    try {
      const result = await action((id) =>
        writeTransaction(this.#home, { open_transaction_id: open, device_hash: hash, device_id: id }),
      )
      this.#pool.tell('set_transaction_id', status.transaction, open)
      return result
    } catch (error) {
      // What is left, if anything, the next one undoes.
      await this.settled().catch(() => undefined)
      throw error
    }
  }

  /** Makes a device, or a snapshot of one. @returns its number */
  async make(begin: Begin, origin: number | undefined): Promise<number> {
    for (let id = this.#next(this.#lastId); ; id = this.#free()) {
      await begin(id)
      try {
        if (origin === undefined) this.#pool.tell('create_thin', id)
        else this.#pool.tell('create_snap', id, origin)
        this.#lastId = id
        return id
      } catch (error) {
        if (!isSystemError(error, 'EEXIST')) throw error
        this.#lastId = id
      }
    }
  }

  /** Deletes a device. One that is gone is what was wanted; one that goes with its last user is gone a little later. */
  async forget(id: number): Promise<void> {
    try {
      await patiently(() => this.#pool.tell('delete', id))
    } catch (error) {
      if (!isSystemError(error, 'ENODATA')) throw error
    }
  }

  async #undo({ device_hash: hash, device_id: id }: TransactionRecord): Promise<void> {
    const name = hash === '' ? base : hash
    if (isRecordName(name)) {
      // It may have died before it knew that the number was another's.
      const isOthers = allDevices(this.#home).some(
        ([other, record]) => record.device_id === id && other !== name,
      )
      if (!isOthers) await this.#undoDevice(name, id)
      removeRecord(this.#home, name)
    }
    removeTransaction(this.#home)
  }

  async #undoDevice(name: RecordName, id: number): Promise<void> {
    await this.#active.release(name)
    try {
      await this.forget(id)
    } catch (error) {
      if (!isSystemError(error, 'EBUSY')) throw error
      // In the way of nothing, and deleted later.
      const record = { device_id: id, size: 0, transaction_id: 0, initialized: false, deleted: true }
      await writeDevice(this.#home, randomRemovedName(), record)
    }
  }

  #next(id: number): number {
    return id >= mostDevices ? 1 : id + 1
  }

  /** A number that no record has, after the last. */
  #free(): number {
    const used = new Set(allDevices(this.#home).map(([, { device_id: id }]) => id))
    let id = this.#next(this.#lastId)
    while (used.has(id)) id = this.#next(id)
    return id
  }
}
