/** What goes to the thread of a driver, and comes back. */
import type { Failure } from '@graphdriver/archive'
import type { CreateOptions, DriverOptions, LayerId } from '@graphdriver/core'

/** `workerData`: what the thread opens. */
export interface Opening {
  /** `file:` URL of the module that exports the definition. */
  readonly module: string
  readonly root: string
  readonly driverOptions: DriverOptions
}

/** The calls, by the names of the driver's, with what they are given. */
export interface Calls {
  readonly createReadWrite: [id: LayerId, options: Pick<CreateOptions, 'parent'>]
  readonly remove: [id: LayerId]
  readonly get: [id: LayerId]
  readonly put: [id: LayerId]
  readonly changes: [id: LayerId, parent: LayerId | undefined]
  readonly diffSize: [id: LayerId, parent: LayerId | undefined]
  readonly layers: []
  readonly close: []
}

export type CallName = keyof Calls

export interface Asked<Name extends CallName = CallName> {
  readonly number: number
  readonly name: Name
  readonly args: Calls[Name]
}

/** Ends a call that is under way. */
export interface Aborted {
  readonly abort: number
}

/** The first is of number 0, and says how opening went. */
export type Answered =
  | { readonly number: number; readonly ok: true; readonly value: unknown }
  | { readonly number: number; readonly ok: false; readonly failure: Failure }
