/**
 * A data root with its driver, for the length of one command.
 *
 * The root is locked against other processes only while its records change, never while a container runs. So the
 * records are opened anew each time: what was read before may not be true any more.
 */
import { access, constants } from 'node:fs/promises'
import {
  type Driver,
  GraphDriverError,
  hostOf,
  isGraphDriverError,
  openReadOnly,
  priorState,
  selectDriver,
  type Selection,
} from '@graphdriver/core'
import { excludeDockerd, lockStore } from '@graphdriver/layer-store'
import { isSystemError } from '@graphdriver/sys'
import { abandoned, forgetClaim } from './claim.ts'
import type { Invocation } from './invocation.ts'
import type { Settings } from './settings.ts'
import { openStores, type Stores } from './stores.ts'
import { tidyWorkplace } from './workplace.ts'
import { needsUserNamespace, reenter } from './user-namespace.ts'

export class Session implements AsyncDisposable {
  readonly root: string
  readonly selection: Selection
  readonly driver: Driver
  readonly #invocation: Invocation

  private constructor(invocation: Invocation, selection: Selection, driver: Driver) {
    this.root = invocation.settings.root
    this.selection = selection
    this.driver = driver
    this.#invocation = invocation
  }

  /** Chooses the driver and opens it; as an ordinary user, in a user namespace. */
  static async open(invocation: Invocation): Promise<Session> {
    await requirePrivileges(invocation)
    const { settings, log } = invocation
    const { root } = settings
    await requireReadable(root)
    const { readOnly, driverOptions: options } = settings
    const selection = await selectDriver({ root, driver: settings.driver, options, readOnly })
    const { definition } = selection
    log.debug(`driver ${definition.name} on ${root}: ${selection.why}`)
    const host = hostOf(definition, { root, options })
    const driver = await (readOnly ? openReadOnly(definition, host) : definition.open(host))
    return new Session(invocation, selection, driver)
  }

  /** Opens what is there, to read it; `undefined` where there is nothing yet, and nothing is made then. */
  static async openExisting(invocation: Invocation): Promise<Session | undefined> {
    await requirePrivileges(invocation)
    await requireReadable(invocation.settings.root)
    const prior = await priorState(invocation.settings.root)
    return prior.length === 0 ? undefined : Session.open(invocation)
  }

  /** Reads the records as they are at this moment, waiting for nobody. */
  async reading<T>(action: (stores: Stores) => Promise<T>): Promise<T> {
    await using stores = await this.#stores(true)
    return await action(stores)
  }

  /** Reads for longer: nobody changes the records meanwhile. */
  async holding<T>(action: (stores: Stores) => Promise<T>): Promise<T> {
    await using _ = await this.#lock('shared')
    await using stores = await this.#stores(true)
    return await action(stores)
  }

  /**
   * Changes the records, alone. What a killed process left is cleared away first.
   *
   * @param options `always` goes on when the command has been told to end, as undoing must
   * @throws GD_READ_ONLY with `--read-only`
   */
  async changing<T>(
    action: (stores: Stores) => Promise<T>,
    options: { readonly always?: boolean } = {},
  ): Promise<T> {
    const signal = options.always === true ? new AbortController().signal : this.#invocation.signal
    return await this.#alone(signal, async (stores) => {
      await this.#clear(stores, signal)
      return await action(stores)
    })
  }

  /**
   * Does something alone on the records, once the writable layers of runs are gone that were killed.
   *
   * @throws GD_READ_ONLY with `--read-only`
   */
  async collecting<T>(action: (stores: Stores) => Promise<T>): Promise<T> {
    return await this.#alone(this.#invocation.signal, async (stores) => {
      await this.#clearRuns(stores)
      return await action(stores)
    })
  }

  /**
   * For what mounts or unmounts a layer that is there: a dockerd would not hear of it.
   *
   * @throws GD_IN_USE while one is alive on the root; GD_READ_ONLY
   */
  async requireNoDaemon(): Promise<void> {
    requireWritable(this.#invocation.settings)
    await (await excludeDockerd(this.root))?.[Symbol.asyncDispose]()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.driver[Symbol.asyncDispose]()
  }

  async #alone<T>(signal: AbortSignal, action: (stores: Stores) => Promise<T>): Promise<T> {
    requireWritable(this.#invocation.settings)
    await using _ = await this.#lock('exclusive', signal)
    await using stores = await this.#stores(false, signal)
    return await action(stores)
  }

  async #clear(stores: Stores, signal: AbortSignal): Promise<void> {
    await this.#clearRuns(stores)
    const collected = [...(await stores.layers.collect({ signal })), ...(await stores.images.collect())]
    if (collected.length > 0)
      this.#invocation.log.info(`cleared away what a killed process left: ${collected.join(', ')}`)
  }

  /** Writable layers of runs that were killed, and whose process is gone. */
  async #clearRuns(stores: Stores): Promise<void> {
    const { log } = this.#invocation
    await tidyWorkplace(this.root)
    for (const name of await abandoned(this.root)) {
      if (stores.layers.writableLayers().some((layer) => layer.name === name)) {
        log.info(`removing writable layer '${name}', which a killed run left`)
        await (await stores.layers.getRWLayer(name)).release()
      }
      await forgetClaim(this.root, name)
    }
  }

  #stores(readOnly: boolean, signal: AbortSignal = this.#invocation.signal): Promise<Stores> {
    const { durability, limits } = this.#invocation.settings
    return openStores({ root: this.root, driver: this.driver, readOnly, durability, limits, signal })
  }

  async #lock(
    mode: 'shared' | 'exclusive',
    signal: AbortSignal = this.#invocation.signal,
  ): Promise<AsyncDisposable> {
    const { readOnly } = this.#invocation.settings
    try {
      return await lockStore(this.root, mode, { timeout: patience, readOnly, signal })
    } catch (error) {
      if (!isGraphDriverError(error, 'GD_STORE_LOCKED')) throw error
      this.#invocation.log.warn(error.message)
      return lockStore(this.root, mode, { readOnly, signal })
    }
  }
}

/** Starts the command again where it may mount, if it may not here. Nothing done before this call is worth having. */
export async function requirePrivileges({ log }: Invocation): Promise<void> {
  if (needsUserNamespace()) await reenter(log)
}

/** @throws GD_READ_ONLY where nothing is to change */
export function requireWritable({ root, readOnly }: Settings): void {
  if (!readOnly) return
  const message = `${root} was to be read only; leave out --read-only to change something there`
  throw new GraphDriverError('GD_READ_ONLY', message, { object: root })
}

/** A root that may not be looked into seems to hold something of every driver. One that is not there is no matter. */
export async function requireReadable(root: string): Promise<void> {
  try {
    await access(root, constants.R_OK | constants.X_OK)
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error
  }
}

/** Milliseconds to wait for others before saying so. */
const patience = 1000
