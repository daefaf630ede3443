/** The only file that starts programs for their output: argument arrays and no shell, fixed locale, bounded output, typed errors. */
import { accessSync, constants, existsSync, statSync } from 'node:fs'
import path from 'node:path'
import type { ExecaError } from 'execa'

/** How to run a program. */
export interface CommandOptions {
  /** Added to this process's; `LC_ALL` is always `C`. */
  readonly env?: Readonly<Record<string, string>> | undefined
  readonly cwd?: string | undefined
  /** What it reads; nothing by default. */
  readonly input?: string | Uint8Array | undefined
  /** Milliseconds after which it is ended. */
  readonly timeout?: number | undefined
  /** Characters of stdout, and of stderr, after which it is ended; 16 Mi by default. */
  readonly maxOutput?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** What a program wrote, the last newline included. */
export interface CommandResult {
  readonly stdout: string
  readonly stderr: string
}

/** A program that could not be started, or did not end with 0. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
  /**
   * `ECOMMAND` when it ended with another code than 0, or by a signal; `ENOENT` when it is not installed, `ENOTDIR`
   * when `cwd` is not there, `EACCES` when it may not be run; `ETIMEDOUT` and `EMAXBUFFER` when it was ended for that.
   */
  readonly code: string
  readonly command: string
  readonly args: readonly string[]
  readonly exitCode: number | undefined
  readonly signal: string | undefined
  /** Its last words. */
  readonly stderr: string

  /** Made by `run`. */
  constructor(command: string, args: readonly string[], failure: Failure, options?: ErrorOptions) {
    super(describe(command, failure), options)
    this.command = command
    this.args = args
    this.code = failure.code
    this.exitCode = failure.exitCode
    this.signal = failure.signal
    this.stderr = failure.stderr
  }
}

interface Failure {
  readonly code: string
  readonly exitCode: number | undefined
  readonly signal: string | undefined
  readonly stderr: string
}

function describe(command: string, failure: Failure): string {
  if (failure.code === 'ENOENT') return `${command}: command not found; install the package that has it`
  if (failure.code === 'ENOTDIR') return `${command}: not started, its working directory does not exist`
  if (failure.code === 'ETIMEDOUT') return `${command}: did not end in time`
  if (failure.code === 'EMAXBUFFER') return `${command}: wrote more than its limit`
  const how =
    failure.signal === undefined ? `exit code ${failure.exitCode ?? '?'}` : `ended by ${failure.signal}`
  return `${command}: ${how}${failure.stderr === '' ? '' : `: ${failure.stderr}`}`
}

const tail = 4096

/**
 * Runs a program to its end.
 *
 * @throws CommandError; the signal's reason when aborted
 */
export async function run(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  options.signal?.throwIfAborted()
  // Loaded here, so that a program that only makes system calls does not pay for it.
  const { execa, ExecaError } = await import('execa')
  try {
    const { stdout, stderr } = await execa(command, args, {
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.input === undefined ? { stdin: 'ignore' as const } : { input: options.input }),
      ...(options.timeout === undefined ? {} : { timeout: options.timeout }),
      ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
      env: { ...options.env, PATH: places(options.env?.['PATH']).join(path.delimiter), LC_ALL: 'C' },
      maxBuffer: options.maxOutput ?? 16 * 1024 * 1024,
      stripFinalNewline: false,
    })
    return { stdout, stderr }
  } catch (error) {
    options.signal?.throwIfAborted()
    if (!(error instanceof ExecaError)) throw error
    throw new CommandError(command, args, failureOf(command, error, options.cwd), { cause: error })
  }
}

function failureOf(command: string, error: ExecaError, cwd: string | undefined): Failure {
  const stderr = typeof error.stderr === 'string' ? error.stderr.trim().slice(-tail) : ''
  return { code: codeOf(command, error, cwd), exitCode: error.exitCode, signal: error.signal, stderr }
}

function codeOf(command: string, error: ExecaError, cwd: string | undefined): string {
  if (error.timedOut) return 'ETIMEDOUT'
  if (error.isMaxBuffer) return 'EMAXBUFFER'
  // execvp(3) has one word for a program and for a working directory that is not there …
  if (error.code === 'ENOENT' && cwd !== undefined && !existsSync(cwd)) return 'ENOTDIR'
  // … and another for a program that is nowhere, when a directory on PATH may not be searched.
  if (error.code === 'EACCES' && isBare(command) && findCommand(command) === undefined) return 'ENOENT'
  return error.code ?? 'ECOMMAND'
}

/** Where on `PATH` a program is; `undefined` when it is not. `run` looks in the same places. Starts nothing. */
export function findCommand(name: string): string | undefined {
  if (!isBare(name)) return isExecutable(name) ? name : undefined
  return places()
    .map((place) => path.join(place, name))
    .find(isExecutable)
}

/** A name to be looked for, not a path. */
function isBare(name: string): boolean {
  return path.basename(name) === name
}

/** Filesystem tools live where the PATH of a service, or of an ordinary user, often does not lead. */
const systemPlaces = ['/usr/local/sbin', '/usr/sbin', '/sbin']

/** An empty part of PATH means the current directory, where nothing of ours is to be found. */
function places(search: string = process.env['PATH'] ?? ''): string[] {
  const found = search.split(path.delimiter).filter((place) => place !== '')
  if (process.platform === 'win32') return found
  return [...found, ...systemPlaces.filter((place) => !found.includes(place))]
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return statSync(file).isFile()
  } catch {
    return false
  }
}
