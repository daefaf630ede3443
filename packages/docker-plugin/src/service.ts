/** What a plugin does for each call: a driver, opened where dockerd says, and how the protocol's words are its. */
import path from 'node:path'
import {
  type CallOptions,
  type CreateOptions,
  type Driver,
  type DriverDefinition,
  type DriverHost,
  type DriverOptions,
  GraphDriverError,
  hostOf,
  KeyedMutex,
  type LayerId,
  parseKeyValue,
  parseLayerId,
  type TarStream,
} from '@graphdriver/core'
import { type Initialised, readInitialised, writeInitialised } from './initialised.ts'
import {
  changeKinds,
  type Description,
  type DockerCall,
  type ExtensionCall,
  type Request,
  type Response,
} from './protocol.ts'
import { UnansweredCreations } from './unanswered.ts'

export interface ServiceOptions {
  readonly definition: DriverDefinition
  /** Options of the driver, beside those that dockerd has with `--storage-opt`, which win. */
  readonly driverOptions?: DriverOptions | undefined
}

type Answer = (driver: Driver, request: Request, options: CallOptions) => Promise<Response>

const driverCalls: Readonly<Record<Exclude<DockerCall, 'Init' | 'Capabilities'> | ExtensionCall, Answer>> = {
  async Create(driver, request, options) {
    await driver.create(idOf(request), creation(request, options))
    return {}
  },
  async CreateReadWrite(driver, request, options) {
    await driver.createReadWrite(idOf(request), creation(request, options))
    return {}
  },
  async Remove(driver, request, options) {
    await driver.remove(idOf(request), options)
    return {}
  },
  // The mount is held until dockerd puts it, by its id.
  async Get(driver, request, options) {
    const mountLabel = request.MountLabel ?? undefined
    const mount = await driver.get(idOf(request), { ...options, mountLabel })
    return { Dir: mount.path, ReadOnly: mount.readonly }
  },
  async Put(driver, request) {
    await driver.put(idOf(request))
    return {}
  },
  async Exists(driver, request) {
    return { Exists: await driver.exists(idOf(request)) }
  },
  async Status(driver) {
    return { Status: await driver.status() }
  },
  async GetMetadata(driver, request) {
    return { Metadata: await driver.metadata(idOf(request)) }
  },
  async Cleanup(driver) {
    await driver.cleanup()
    return {}
  },
  async Changes(driver, request, options) {
    const changes = await driver.changes(idOf(request), parentOf(request), options)
    return { Changes: changes.map(({ path: Path, kind }) => ({ Path, Kind: changeKinds.indexOf(kind) })) }
  },
  async DiffSize(driver, request, options) {
    return { Size: await driver.diffSize(idOf(request), parentOf(request), options) }
  },
  async Describe(driver) {
    return { Description: describe(driver) }
  },
  async Layers(driver, _, options) {
    return { Layers: await Array.fromAsync(driver.layers(options)) }
  },
  async Usage(driver, request) {
    const usage = await driver.usage?.(idOf(request))
    return usage === undefined ? {} : { Usage: usage }
  },
  async SetQuota(driver, request) {
    await driver.setQuota?.(idOf(request), request.Quota ?? {})
    return {}
  },
}

export class PluginService implements AsyncDisposable {
  readonly #options: ServiceOptions
  readonly #memory: string
  readonly #unanswered: UnansweredCreations
  readonly #turns = new KeyedMutex()
  #driver: Driver | undefined
  /** The home of the driver, as dockerd names it. */
  #served = ''

  /**
   * @param memory stem of the files for a plugin that is started again: what was initialised last, so that it needs no
   *   `Init`, and which layers were being made
   */
  constructor(options: ServiceOptions, memory: string) {
    this.#options = options
    this.#memory = `${memory}.init`
    this.#unanswered = new UnansweredCreations(`${memory}.creating`)
  }

  /**
   * @param told resolves when the exchange is over, to whether the answer went out; never rejects
   * @throws whatever the driver throws; GD_CLOSED before `Init`
   */
  async call(
    name: DockerCall | ExtensionCall,
    request: Request,
    told: Promise<boolean>,
    options: CallOptions,
  ): Promise<Response> {
    // What the tar was is kept by dockerd: ours is the same tree, and need not be the same bytes.
    if (name === 'Capabilities') return { Capabilities: { ReproducesExactDiffs: false } }
    if (name === 'Init') return this.#exclusively(() => this.#init(request))
    const driver = await this.#demandDriver()
    const answer = driverCalls[name]
    if (name !== 'Create' && name !== 'CreateReadWrite') return answer(driver, request, options)
    return this.#unanswered.during(idOf(request), parentOf(request), told, () =>
      answer(driver, request, options),
    )
  }

  async *diff(request: Request, options: CallOptions): TarStream {
    const driver = await this.#demandDriver()
    yield* driver.diff(idOf(request), parentOf(request), options)
  }

  /** @returns bytes */
  async apply(request: Request, tar: TarStream, options: CallOptions): Promise<number> {
    const driver = await this.#demandDriver()
    return driver.applyDiff(idOf(request), parentOf(request), tar, options)
  }

  /** Lets go of the driver; what is mounted stays, for containers that run on. */
  async [Symbol.asyncDispose](): Promise<void> {
    const driver = this.#driver
    this.#driver = undefined
    await driver?.[Symbol.asyncDispose]()
  }

  /**
   * A daemon that was started again says this again, and knows nothing of what the one before it had mounted. The driver
   * is opened anew, and finds what is mounted.
   */
  async #init({ Home, Opts, UIDMaps, GIDMaps }: Request): Promise<Response> {
    const { definition } = this.#options
    if (!isGiven(Home) || !path.isAbsolute(Home))
      throw invalid('Home', Home, 'dockerd names an absolute path')
    if ((UIDMaps ?? []).length > 0 || (GIDMaps ?? []).length > 0)
      throw new GraphDriverError(
        'GD_DRIVER_UNSUPPORTED',
        `${definition.name} as a plugin does not map users; start dockerd without userns-remap`,
        { driver: definition.name, reason: 'id-maps', hint: 'start dockerd without userns-remap' },
      )
    if (this.#driver !== undefined && this.#served !== Home)
      throw new GraphDriverError(
        'GD_DRIVER_UNSUPPORTED',
        `this plugin serves ${this.#served}; start another for ${Home}, by another name`,
        { driver: definition.name, reason: 'serves-another' },
      )
    const initialised: Initialised = { Home, Opts: Opts ?? [] }
    await this[Symbol.asyncDispose]()
    await this.#open(initialised)
    await writeInitialised(this.#memory, initialised)
    return {}
  }

  async #open({ Home, Opts }: Initialised): Promise<Driver> {
    const { definition, driverOptions = {} } = this.#options
    const options = { ...driverOptions, ...Object.fromEntries(Opts.map(parseKeyValue)) }
    const driver = await definition.open(hostAt(definition, Home, options))
    this.#driver = driver
    this.#served = Home
    await this.#unanswered.discard(driver)
    return driver
  }

  /** dockerd does not hear of a plugin that was started again, and goes on. */
  async #demandDriver(): Promise<Driver> {
    if (this.#driver !== undefined) return this.#driver
    return this.#exclusively(async () => {
      if (this.#driver !== undefined) return this.#driver
      const initialised = await readInitialised(this.#memory)
      if (initialised !== undefined) return this.#open(initialised)
      const object = `the plugin of ${this.#options.definition.name}`
      const message = `${object} has not been told where its layers are (Init); restart dockerd`
      throw new GraphDriverError('GD_CLOSED', message, { object })
    })
  }

  #exclusively<T>(action: () => Promise<T>): Promise<T> {
    return this.#turns.exclusively('driver', action)
  }
}

/** dockerd names the driver's own directory after the plugin, which bears another name than the driver. */
function hostAt(definition: DriverDefinition, home: string, options: DriverOptions): DriverHost<unknown> {
  return { ...hostOf(definition, { root: path.dirname(home), options }), home }
}

function describe(driver: Driver): Description {
  const { name, home, capabilities } = driver
  const { maxDepth } = capabilities
  const optional = (['setQuota', 'usage'] as const).filter((call) => driver[call] !== undefined)
  return {
    name,
    home,
    capabilities: { ...capabilities, maxDepth: Number.isFinite(maxDepth) ? maxDepth : null },
    optional,
  }
}

function creation(request: Request, options: CallOptions): CreateOptions {
  return {
    ...options,
    parent: parentOf(request),
    mountLabel: request.MountLabel ?? undefined,
    storageOptions: request.StorageOpt ?? undefined,
  }
}

/** @throws GD_INVALID_ID */
function idOf({ ID }: Request): LayerId {
  return parseLayerId(ID ?? '')
}

function parentOf({ Parent }: Request): LayerId | undefined {
  return isGiven(Parent) ? parseLayerId(Parent) : undefined
}

function isGiven(text: string | null | undefined): text is string {
  return text !== undefined && text !== null && text !== ''
}

function invalid(option: string, value: unknown, remedy: string): GraphDriverError<'GD_INVALID_OPTION'> {
  return new GraphDriverError(
    'GD_INVALID_OPTION',
    `plugin call Init: ${option} is '${String(value)}'; ${remedy}`,
    {
      option,
      value: String(value),
    },
  )
}
