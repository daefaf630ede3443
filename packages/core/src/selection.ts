/**
 * Chooses the driver for a data root: the one asked for, else the one whose layers are already there, else the
 * first of a priority list that can serve. It never guesses where guessing could make somebody's images disappear.
 */
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import type { DriverDefinition, DriverOptions, Probe } from './definition.ts'
import { type DiscoveryOptions, loadDriver } from './discovery.ts'
import { GraphDriverError, isGraphDriverError } from './error.ts'

/** Best first: Docker's order of today, then what it has since dropped; last what takes more than a directory. */
export const driverPriority: readonly string[] = [
  'overlay2',
  'btrfs',
  'zfs',
  'aufs',
  'overlay',
  'vfs',
  // On Linux it is for layers of Windows; where it alone can serve, it is found here.
  'windows',
  // A pool in files, where none is given, is nothing to be chosen for somebody.
  'devicemapper',
]

export interface SelectionOptions extends DiscoveryOptions {
  /** The data root, absolute; it may not exist yet. */
  readonly root: string
  /** Take this driver or fail. */
  readonly driver?: string | undefined
  /** Raw options for the chosen driver, `key` or `<driver>.key`. */
  readonly options?: DriverOptions | undefined
  /** Only what is there is to be read: no driver is tried out, and none chosen where there is nothing. */
  readonly readOnly?: boolean | undefined
  /** Names to try, best first. */
  readonly priority?: readonly string[] | undefined
  /** How a name becomes a definition; by default `loadDriver`. */
  readonly load?: ((name: string) => Promise<DriverDefinition>) | undefined
}

export interface Refusal {
  readonly driver: string
  readonly code: string
  readonly reason: string
  readonly hint?: string | undefined
}

export interface Selection {
  readonly definition: DriverDefinition
  readonly why: 'asked for' | 'prior state' | 'first that this host supports'
  /** What the probe noted of the chosen driver. */
  readonly notes: readonly string[]
  /** Every driver that was tried before, and why not. */
  readonly refusals: readonly Refusal[]
}

/**
 * @throws GD_DRIVER_NOT_FOUND, GD_DRIVER_UNSUPPORTED (the one asked for, or the one whose state is there),
 *   GD_PRIOR_STATE_AMBIGUOUS, GD_PRIOR_STATE_MISMATCH, GD_NO_DRIVER, GD_INVALID_OPTION
 */
export async function selectDriver(request: SelectionOptions): Promise<Selection> {
  const priority = request.priority ?? driverPriority
  const load = request.load ?? ((name: string) => loadDriver(name, request))
  const prior = await priorState(request.root, priority)

  if (request.driver !== undefined) {
    const definition = await load(request.driver)
    const others = prior.filter((name) => name !== definition.name)
    if (others.length > 0 && !prior.includes(definition.name))
      throw mismatch(request.root, definition.name, others)
    return { definition, why: 'asked for', notes: await required(definition, request), refusals: [] }
  }
  if (prior.length > 1) throw ambiguous(request.root, prior)
  if (prior[0] !== undefined) {
    const definition = await load(prior[0])
    return { definition, why: 'prior state', notes: await required(definition, request), refusals: [] }
  }
  if (request.readOnly === true)
    throw new GraphDriverError(
      'GD_READ_ONLY',
      `no driver has anything at ${request.root}, and nothing is made where one only reads; see that the path is right`,
      { object: request.root },
    )
  return firstSupported(request, priority, load)
}

/**
 * The drivers whose state is under `root`: those with images recorded in `image/<driver>` or with a non-empty
 * directory of their own, but for those that `leftBehind` has.
 */
export async function priorState(
  root: string,
  known: readonly string[] = driverPriority,
): Promise<readonly string[]> {
  const behind = await leftBehind(root)
  const found: string[] = []
  for (const name of known) if (!Object.hasOwn(behind, name) && (await hasState(root, name))) found.push(name)
  return found
}

/** Where it is written which drivers' images were moved to another, and are kept until somebody is sure: `{ from: to }`. */
export function leftBehindFile(root: string): string {
  return path.join(root, '.graphdriver', 'left-behind.json')
}

/** Drivers that hold what was moved to another since, with that one's name. What cannot be read is nothing. */
export async function leftBehind(root: string): Promise<Readonly<Record<string, string>>> {
  try {
    const read: unknown = JSON.parse(await readFile(leftBehindFile(root), 'utf8'))
    if (typeof read !== 'object' || read === null) return {}
    return Object.fromEntries(
      Object.entries(read).filter((pair): pair is [string, string] => typeof pair[1] === 'string'),
    )
  } catch {
    return {}
  }
}

/** Whether one driver's state is under `root`. */
export async function hasState(root: string, name: string): Promise<boolean> {
  const [layers, records] = await Promise.all([
    isNonEmpty(path.join(root, name)),
    isNonEmpty(path.join(root, 'image', name, 'layerdb', 'sha256')),
  ])
  return layers || records
}

async function isNonEmpty(directory: string): Promise<boolean> {
  try {
    // A filesystem that was made for a driver, and what a command has left, are nobody's layers.
    return (await readdir(directory)).some(
      (name) => name !== 'lost+found' && !name.startsWith('.graphdriver-'),
    )
  } catch (error) {
    // A directory that is there and cannot be read may hold anything, so it counts.
    return error instanceof Error && 'code' in error && error.code !== 'ENOENT' && error.code !== 'ENOTDIR'
  }
}

async function firstSupported(
  request: SelectionOptions,
  priority: readonly string[],
  load: (name: string) => Promise<DriverDefinition>,
): Promise<Selection> {
  const refusals: Refusal[] = []
  for (const name of priority) {
    let definition: DriverDefinition
    try {
      definition = await load(name)
    } catch (error) {
      if (!isGraphDriverError(error, 'GD_DRIVER_NOT_FOUND')) throw error
      refusals.push({
        driver: name,
        code: 'not-installed',
        reason: 'not installed',
        hint: `npm install ${`@graphdriver/${name}`}`,
      })
      continue
    }
    const probe = await probeDriver(definition, request)
    if (probe.supported) {
      return { definition, why: 'first that this host supports', notes: probe.notes, refusals }
    }
    refusals.push({ driver: name, code: probe.code, reason: probe.reason, hint: probe.hint })
  }
  const reasons = refusals.map((refusal) => `  ${refusal.driver}: ${refusal.reason}`).join('\n')
  throw new GraphDriverError('GD_NO_DRIVER', `no storage driver can serve ${request.root}:\n${reasons}`, {
    root: request.root,
    refusals,
  })
}

/** Asks one driver whether it can serve at a root, with the options meant for it. */
export async function probeDriver(
  definition: DriverDefinition,
  request: Pick<SelectionOptions, 'root' | 'options'>,
): Promise<Probe> {
  if (!definition.platforms.includes(process.platform)) {
    return {
      supported: false,
      code: 'platform',
      reason: `serves ${definition.platforms.join(', ')}, and this is ${process.platform}`,
    }
  }
  return definition.probe(hostOf(definition, request))
}

/** The host record for one driver: its home under the root, and its options parsed. */
export function hostOf<Options>(
  definition: DriverDefinition<Options>,
  request: Pick<SelectionOptions, 'root' | 'options'>,
): { readonly root: string; readonly home: string; readonly options: Options } {
  const prefix = `${definition.name}.`
  const own: Record<string, string> = {}
  for (const [key, value] of Object.entries(request.options ?? {})) {
    own[key.startsWith(prefix) ? key.slice(prefix.length) : key] = value
  }
  const root = path.resolve(request.root)
  return { root, home: path.join(root, definition.name), options: definition.parse(own) }
}

async function required(definition: DriverDefinition, request: SelectionOptions): Promise<readonly string[]> {
  if (request.readOnly === true) return []
  const probe = await probeDriver(definition, request)
  if (probe.supported) return probe.notes
  const remedy = probe.hint === undefined ? '' : `; ${probe.hint}`
  throw new GraphDriverError(
    'GD_DRIVER_UNSUPPORTED',
    `driver ${definition.name} cannot serve ${request.root}: ${probe.reason}${remedy}`,
    { driver: definition.name, reason: probe.code, hint: probe.hint },
  )
}

function ambiguous(root: string, drivers: readonly string[]): GraphDriverError {
  return new GraphDriverError(
    'GD_PRIOR_STATE_AMBIGUOUS',
    `${root} holds the state of several drivers (${drivers.join(', ')}); name the one to use with --driver`,
    { root, drivers },
  )
}

function mismatch(root: string, driver: string, drivers: readonly string[]): GraphDriverError {
  return new GraphDriverError(
    'GD_PRIOR_STATE_MISMATCH',
    `${root} holds the images of ${drivers.join(', ')}, which ${driver} would hide; ` +
      `use --driver ${drivers[0] ?? ''}, another --root, or move them: graphdriver migrate --from ${drivers[0] ?? ''} --to ${driver}`,
    { root, driver, drivers },
  )
}
