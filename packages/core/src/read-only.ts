/** Drivers that only show what is there. */
import type { Capabilities } from './capabilities.ts'
import type { DriverDefinition, DriverHost } from './definition.ts'
import type { CallOptions, Change, Driver, GetOptions, StatusRow, TarStream, Usage } from './driver.ts'
import { GraphDriverError } from './error.ts'
import type { LayerId } from './id.ts'
import { layerMount, type Mount } from './mount.ts'
import { hasState } from './selection.ts'

/**
 * Opens what is at a place to be looked at, as `DriverHost.readOnly` says: beside whoever changes it, on a filesystem that
 * takes no writes, or where nothing must change.
 *
 * @throws GD_READ_ONLY where there is nothing; GD_DRIVER_UNSUPPORTED for a driver that cannot, and as `open` does
 */
export async function openReadOnly<Options>(
  definition: DriverDefinition<Options>,
  host: DriverHost<Options>,
): Promise<Driver> {
  const { name } = definition
  if (definition.opensReadOnly !== true)
    throw new GraphDriverError(
      'GD_DRIVER_UNSUPPORTED',
      `${name} cannot be opened for reading only: its package does not know how; open it without`,
      { driver: name, reason: 'read-only', hint: 'open it without' },
    )
  if (!(await hasState(host.root, name)))
    throw new GraphDriverError(
      'GD_READ_ONLY',
      `${name} has nothing at ${host.home}, and nothing is made where one only reads; see that the path is right`,
      { object: host.home },
    )
  return new ReadOnlyDriver(await definition.open({ ...host, readOnly: true }))
}

/** What would change a layer is refused; all else is the driver's. */
class ReadOnlyDriver implements Driver {
  readonly name: string
  readonly home: string
  readonly capabilities: Capabilities
  readonly usage?: (id: LayerId) => Promise<Usage | undefined>
  readonly ownFiles?: (id: LayerId) => Promise<Mount>
  readonly setQuota?: () => Promise<void>
  readonly #driver: Driver

  constructor(driver: Driver) {
    this.#driver = driver
    this.name = driver.name
    this.home = driver.home
    this.capabilities = driver.capabilities
    if (driver.usage !== undefined) this.usage = async (id) => driver.usage?.(id)
    if (driver.ownFiles !== undefined)
      this.ownFiles = (id) => readOnly(driver.ownFiles?.(id) ?? driver.get(id))
    if (driver.setQuota !== undefined) this.setQuota = () => this.#refuse()
  }

  create(): Promise<void> {
    return this.#refuse()
  }

  createReadWrite(): Promise<void> {
    return this.#refuse()
  }

  remove(): Promise<void> {
    return this.#refuse()
  }

  applyDiff(): Promise<number> {
    return this.#refuse()
  }

  get(id: LayerId, options?: GetOptions): Promise<Mount> {
    return readOnly(this.#driver.get(id, options))
  }

  put(id: LayerId): Promise<void> {
    return this.#driver.put(id)
  }

  exists(id: LayerId): Promise<boolean> {
    return this.#driver.exists(id)
  }

  layers(options?: CallOptions): AsyncIterable<LayerId> {
    return this.#driver.layers(options)
  }

  status(): Promise<readonly StatusRow[]> {
    return this.#driver.status()
  }

  metadata(id: LayerId): Promise<Readonly<Record<string, string>>> {
    return this.#driver.metadata(id)
  }

  diff(id: LayerId, parent: LayerId | undefined, options?: CallOptions): TarStream {
    return this.#driver.diff(id, parent, options)
  }

  changes(id: LayerId, parent: LayerId | undefined, options?: CallOptions): Promise<readonly Change[]> {
    return this.#driver.changes(id, parent, options)
  }

  diffSize(id: LayerId, parent: LayerId | undefined, options?: CallOptions): Promise<number> {
    return this.#driver.diffSize(id, parent, options)
  }

  cleanup(): Promise<void> {
    return this.#driver.cleanup()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.cleanup()
  }

  async #refuse(): Promise<never> {
    const { home, name } = this
    const message = `${name} at ${home} is open for reading only; open it without readOnly`
    throw new GraphDriverError('GD_READ_ONLY', message, { object: home })
  }
}

async function readOnly(got: Promise<Mount>): Promise<Mount> {
  const mount = await got
  return layerMount(mount.id, mount.path, true, async () => mount[Symbol.asyncDispose]())
}
