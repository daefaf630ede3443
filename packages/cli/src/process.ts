/** The only file that starts programs which talk to the user themselves; those run for their output go through sys. */
import type { Result } from 'execa'
import { signalExitCode } from './interruption.ts'

export interface ProgramOptions {
  /** All there is of it; nothing is added. */
  readonly env?: Readonly<Record<string, string>> | undefined
  /** It has no stdin, and nobody hears it: for programs that leave others behind with what they were given. */
  readonly mute?: boolean | undefined
}

/** A program that has our stdin, stdout and stderr, unless it is mute. */
export interface Program {
  readonly pid: number | undefined
  /** Its exit code; 128 + n when signal n ended it. Rejects when it could not be started. */
  readonly exit: Promise<number>
  kill(signal: NodeJS.Signals): void
}

export async function startProgram(
  command: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<Program> {
  const { execa } = await import('execa')
  const child = execa(command, args, {
    stdio: options.mute === true ? 'ignore' : 'inherit',
    reject: false,
    // A container outlives no terminal of ours, but it does get the time to end by itself.
    forceKillAfterDelay: false,
    ...(options.env === undefined ? {} : { env: options.env, extendEnv: false }),
  })
  return { pid: child.pid, exit: exitOf(child), kill: (signal) => void child.kill(signal) }
}

async function exitOf(
  child: Promise<Pick<Result, 'exitCode' | 'signal' | 'cause' | 'shortMessage'>>,
): Promise<number> {
  const result = await child
  if (result.exitCode !== undefined) return result.exitCode
  if (result.signal !== undefined) return signalExitCode(result.signal)
  throw new Error(result.shortMessage, { cause: result.cause })
}
