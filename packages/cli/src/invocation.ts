import type { Interruption } from './interruption.ts'
import type { Log } from './log.ts'
import type { Output } from './output.ts'
import type { Settings } from './settings.ts'

/** One call of the command: what every command is given. */
export interface Invocation {
  readonly settings: Settings
  readonly output: Output
  readonly log: Log
  readonly interruption: Interruption
  readonly signal: AbortSignal
}
