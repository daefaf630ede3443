/** The devices of one home that the kernel has now. All under the device set's lock. */
import { setTimeout } from 'node:timers/promises'
import { fileHolders, isSystemError, makedev, type MountEntry, mountHolders } from '@graphdriver/sys'
import {
  activateDevice,
  deviceNode,
  deviceState,
  keepDevice,
  listDevices,
  loadTable,
  removeDevice,
  renameDevice,
  resumeDevice,
  suspendDevice,
} from '@graphdriver/sys/devicemapper'
import { deviceName, type RecordName } from './layout.ts'
import type { DeviceMapperOptions } from './options.ts'
import type { Pool } from './pool.ts'
import type { DeviceRecord } from './record.ts'
import { thinTarget } from './thin-pool.ts'

/** Tries and milliseconds for a device that something looks at for a moment, as udev does at each new one. */
const patience: { readonly tries: number; readonly pause: number } = { tries: 20, pause: 50 }

/**
 * Tries something again for a second, as long as it is busy.
 *
 * @throws the last SystemError EBUSY
 */
export async function patiently<T>(attempt: () => T): Promise<T> {
  for (let left = patience.tries; ; left--) {
    try {
      return attempt()
    } catch (error) {
      if (!isSystemError(error, 'EBUSY') || left === 0) throw error
      await setTimeout(patience.pause)
    }
  }
}

export class ActiveDevices {
  readonly #prefix: string
  readonly #pool: Pool
  readonly #options: DeviceMapperOptions

  constructor(prefix: string, pool: Pool, options: DeviceMapperOptions) {
    this.#prefix = prefix
    this.#pool = pool
    this.#options = options
  }

  nameOf(name: RecordName): string {
    return deviceName(this.#prefix, name)
  }

  /** Makes a device usable. @returns its node */
  activate(name: RecordName, record: DeviceRecord): string {
    const device = this.nameOf(name)
    const state = deviceState(device)
    if (state?.suspended === true) resumeDevice(device)
    if (state?.active === true && (!state.removing || keepDevice(device))) return deviceNode(state)
    // One without a table is what a process left that died.
    if (state?.active === false) removeDevice(device)
    return deviceNode(activateDevice(device, [thinTarget(record.size, this.#pool.number, record.device_id)]))
  }

  /** Success when it is not active; one that is open goes with its last user, or stays. */
  async deactivate(name: RecordName): Promise<void> {
    if (this.#options.deferredRemoval === false) await this.release(name)
    else removeDevice(this.nameOf(name), { deferred: true })
  }

  /** Deactivates a device for good. @returns false while somebody has it open, who is no passing look */
  async release(name: RecordName): Promise<boolean> {
    const device = this.nameOf(name)
    try {
      await patiently(() => {
        if (deviceState(device)?.suspended === true) resumeDevice(device)
        removeDevice(device)
      })
      return true
    } catch (error) {
      if (isSystemError(error, 'EBUSY')) return false
      throw error
    }
  }

  /** The processes that keep a device open, by a mount or a file. */
  holdersOf(name: RecordName): readonly string[] {
    const state = deviceState(this.nameOf(name))
    if (state === undefined) return []
    const isIts = (mount: MountEntry): boolean => makedev(mount.major, mount.minor) === state.device
    return [...new Set([...mountHolders(isIts), ...fileHolders(state.device)])]
  }

  /** Gives a device that is open another name, and lets it go with its last user. */
  setAside(name: RecordName, other: RecordName): void {
    renameDevice(this.nameOf(name), this.nameOf(other))
    removeDevice(this.nameOf(other), { deferred: true })
  }

  /** Holds a device that is used, with its filesystem at rest. @returns what lets it go on */
  hold(name: RecordName): Disposable | undefined {
    const device = this.nameOf(name)
    if (deviceState(device)?.active !== true) return undefined
    suspendDevice(device)
    return { [Symbol.dispose]: () => void resumeDevice(device) }
  }

  /** Gives a device that is used its new size. */
  resize(name: RecordName, record: DeviceRecord): void {
    const device = this.nameOf(name)
    if (deviceState(device)?.active !== true) return
    loadTable(device, [thinTarget(record.size, this.#pool.number, record.device_id)])
    suspendDevice(device)
    resumeDevice(device)
  }

  /** Removes what nobody uses, and what no record is of: a process died. */
  reap(names: readonly RecordName[]): void {
    const known = new Set(names.map((name) => this.nameOf(name)))
    for (const device of this.#all()) {
      const state = deviceState(device)
      if (state === undefined) continue
      if (state.suspended) resumeDevice(device)
      // Whoever has just activated one holds the lock.
      if (state.openCount === 0 || !known.has(device)) removeDevice(device, { deferred: true })
    }
  }

  /** Takes the pool down, unless something in it is used by more than devices that are about to go. */
  async stopPool(): Promise<void> {
    if (!this.#pool.mayStop) return
    for (let left = patience.tries; !this.#pool.stop() && left > 0 && !this.#areUsed(); left--)
      await setTimeout(patience.pause)
  }

  #areUsed(): boolean {
    return this.#all().some((device) => {
      const state = deviceState(device)
      return state !== undefined && !(state.removing && state.openCount === 0)
    })
  }

  #all(): readonly string[] {
    const own = `${this.#prefix}-`
    return listDevices().filter((device) => device.startsWith(own) && device !== this.#pool.name)
  }
}
