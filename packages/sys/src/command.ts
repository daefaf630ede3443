/** The only file that starts programs for their output: no shell, fixed locale, bounded output, typed errors. */
import { accessSync, constants } from 'node:fs'
import path from 'node:path'
import { execa, ExecaError } from 'execa'

export interface CommandOptions {
  readonly cwd?: string | undefined
  readonly input?: string | Uint8Array | undefined
  readonly env?: Readonly<Record<string, string>> | undefined
  /** Milliseconds after which it is ended. */
  readonly timeout?: number | undefined
  /** Bytes of stdout, and of stderr, after which it is ended; 16 MiB by default. */
  readonly maxOutput?: number | undefined
  readonly signal?: AbortSignal | undefined
}

export interface CommandResult {
  readonly stdout: string
  readonly stderr: string
}

/** A program that could not be started, or did not end with 0. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
  /** `ENOENT` when the program is not installed; else `ECOMMAND`, `ETIMEDOUT` or `EMAXBUFFER`. */
  readonly code: string
  readonly command: string
  readonly args: readonly string[]
  readonly exitCode: number | undefined
  readonly signal: string | undefined
  /** Its last words. */
  readonly stderr: string

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
  try {
    const { stdout, stderr } = await execa(command, args, {
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.input === undefined ? { stdin: 'ignore' as const } : { input: options.input }),
      ...(options.timeout === undefined ? {} : { timeout: options.timeout }),
      ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
      env: { ...options.env, LC_ALL: 'C' },
      maxBuffer: options.maxOutput ?? 16 * 1024 * 1024,
      stripFinalNewline: false,
    })
    return { stdout, stderr }
  } catch (error) {
    options.signal?.throwIfAborted()
    if (!(error instanceof ExecaError)) throw error
    throw new CommandError(command, args, failureOf(error), { cause: error })
  }
}

function failureOf(error: ExecaError): Failure {
  const stderr = typeof error.stderr === 'string' ? error.stderr.trim().slice(-tail) : ''
  const code = error.timedOut ? 'ETIMEDOUT' : error.isMaxBuffer ? 'EMAXBUFFER' : (error.code ?? 'ECOMMAND')
  return { code, exitCode: error.exitCode, signal: error.signal, stderr }
}

/** Where on `PATH` a program is; `undefined` when it is not. Starts nothing. */
export function findCommand(name: string): string | undefined {
  const places = [...(process.env['PATH'] ?? '').split(path.delimiter), '/usr/sbin', '/sbin']
  return places.map((place) => path.join(place, name)).find(isExecutable)
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
