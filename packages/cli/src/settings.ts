import { homedir } from 'node:os'
import path from 'node:path'
import type { DriverOptions } from '@graphdriver/core'
import type { Durability } from '@graphdriver/layer-store'
import { defaultLimits, type Limits } from './limits.ts'

/** What every command takes. */
export interface Settings {
  /** The data root, absolute. */
  readonly root: string
  readonly driver: string | undefined
  readonly driverOptions: DriverOptions
  /** Nothing under the root is to change. */
  readonly readOnly: boolean
  readonly durability: Durability
  readonly limits: Limits
  readonly json: boolean
  readonly logLevel: LogLevel
  readonly progress: boolean
}

/** What is on the disk when a command ends. */
export const durabilities: readonly Durability[] = ['safe', 'fast', 'volatile']

export const logLevels = ['error', 'warn', 'info', 'debug'] as const
export type LogLevel = (typeof logLevels)[number]

/** The options as the command line has them; each may stand before or after the command's name. */
export interface GlobalFlags {
  readonly root?: string
  readonly driver?: string
  readonly driverOption?: DriverOptions
  readonly readOnly?: boolean | undefined
  readonly durability?: Durability
  readonly limit?: Limits
  readonly json?: boolean
  readonly logLevel?: LogLevel
  readonly verbose?: boolean
  readonly progress?: boolean
}

export function settingsOf(flags: GlobalFlags): Settings {
  return {
    root: path.resolve(flags.root ?? process.env['GRAPHDRIVER_ROOT'] ?? defaultRoot()),
    driver: flags.driver ?? process.env['GRAPHDRIVER_DRIVER'],
    driverOptions: flags.driverOption ?? {},
    readOnly: flags.readOnly ?? false,
    durability: flags.durability ?? 'safe',
    limits: { ...defaultLimits, ...flags.limit },
    json: flags.json ?? false,
    logLevel: flags.verbose === true ? 'debug' : (flags.logLevel ?? 'warn'),
    progress: flags.progress ?? true,
  }
}

/** Root of the machine has the system's place; everybody else, root of a user namespace too, one of their own. */
function defaultRoot(): string {
  if (process.geteuid?.() === 0 && process.env[reenteredVariable] === undefined) return '/var/lib/graphdriver'
  const data = process.env['XDG_DATA_HOME']
  const shelf = data !== undefined && path.isAbsolute(data) ? data : path.join(homedir(), '.local', 'share')
  return path.join(shelf, 'graphdriver')
}

/** Set by `user-namespace.ts` for the process that it starts in one. */
export const reenteredVariable = 'GRAPHDRIVER_REENTERED'
