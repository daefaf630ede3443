import type { Driver } from './driver.ts'
import { GraphDriverError } from './error.ts'

/** The version of the contract in this package; a driver of another one is refused, not guessed at. */
export const driverApiVersion = 1

/** Raw options as they come from a command line or a configuration file. */
export type DriverOptions = Readonly<Record<string, string>>

/** Where a driver is to work. */
export interface DriverHost<Options> {
  /** The data root, absolute; it may not exist yet. */
  readonly root: string
  /** The driver's own directory, `<root>/<name>`; it may not exist yet. */
  readonly home: string
  readonly options: Options
  /**
   * Open what is there to look at it, and write nothing under the root: make no directory, put nothing right that a killed
   * process left, try nothing out. Layers are shown where they are mounted; one that is not is mounted where only this
   * process sees it, and ends with it. Asked of definitions with `opensReadOnly`, by `openReadOnly`.
   */
  readonly readOnly?: boolean | undefined
}

/**
 * Whether a driver can serve at a place. A "no" is an answer with a stable `code`, a `reason` for people and, where
 * one is known, a `hint` that tells the remedy.
 */
export type Probe =
  | { readonly supported: true; readonly notes: readonly string[] }
  | {
      readonly supported: false
      readonly code: string
      readonly reason: string
      readonly hint?: string | undefined
    }

/** What a driver package exports by default: the driver as data, before it is opened anywhere. */
export interface DriverDefinition<Options = unknown> {
  /** One lower-case word; also the directory under the data root. */
  readonly name: string
  readonly apiVersion: number
  readonly platforms: readonly NodeJS.Platform[]
  /** One sentence for lists. */
  readonly summary: string
  /** `open` heeds `readOnly` of the host. */
  readonly opensReadOnly?: boolean | undefined
  /** @throws GD_INVALID_OPTION for a key it does not know or a value it cannot parse */
  parse(options: DriverOptions): Options
  /** Tries what the driver needs at this place. Never throws for a "no", and leaves nothing behind. */
  probe(host: DriverHost<Options>): Promise<Probe>
  /** Makes the home if need be and opens it. @throws GD_DRIVER_UNSUPPORTED */
  open(host: DriverHost<Options>): Promise<Driver>
}

const nameForm = /^[a-z][a-z0-9-]*$/

/**
 * Checks a definition once, where it is written, and freezes it.
 *
 * @throws GD_DRIVER_INVALID
 */
export function defineDriver<Options>(definition: DriverDefinition<Options>): DriverDefinition<Options> {
  if (!nameForm.test(definition.name)) {
    throw new GraphDriverError(
      'GD_DRIVER_INVALID',
      `driver name '${definition.name}' must be one lower-case word`,
      { specifier: definition.name },
    )
  }
  return Object.freeze(definition)
}

/** True for a value of the shape of a definition with an API version this core can open. */
export function isDriverDefinition(value: unknown): value is DriverDefinition {
  return (
    typeof value === 'object' &&
    value !== null &&
    'name' in value &&
    typeof value.name === 'string' &&
    'apiVersion' in value &&
    value.apiVersion === driverApiVersion &&
    'parse' in value &&
    typeof value.parse === 'function' &&
    'probe' in value &&
    typeof value.probe === 'function' &&
    'open' in value &&
    typeof value.open === 'function'
  )
}
