/** Processes that die before a system call, whichever thread makes it: not an error that they could handle. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import type { Requirement } from './requirement.ts'

export interface KillRequest {
  /** A script for the Node that runs the tests, and its arguments. */
  readonly command: readonly string[]
  /** A system call, such as `mkdir`. */
  readonly call: string
  /** Which one is not made, from 1 on; each thread counts for itself, and the first that comes so far is it. */
  readonly at: number
}

export const killRequirement: Requirement = { root: true, command: 'strace' }

/**
 * Runs a program, and kills it (SIGKILL) as it enters a system call.
 *
 * @returns whether it was killed; otherwise it ended well
 * @throws Error with what it wrote, when it failed by itself
 */
export async function killAtCall({ command, call, at }: KillRequest): Promise<boolean> {
  const inject = `inject=${call}:signal=SIGKILL:when=${at}`
  const args = ['-f', '-qqq', '-e', `trace=${call}`, '-e', inject, '-o', '/dev/null']
  const child = spawn('strace', [...args, process.execPath, ...command], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const [written, [code, signal]] = await Promise.all([text(child.stderr), once(child, 'exit')])
  if (signal === 'SIGKILL') return true
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${String(code ?? signal)}: ${written}`)
  return false
}

/**
 * Kills a program before the first call of a kind, before the second, and so on until it comes through; the same for
 * each other kind.
 *
 * @param prepare comes before each run
 * @param examine is told after each death where it was
 * @returns how many times it was killed
 */
export async function killAtEachCall(
  command: readonly string[],
  calls: readonly string[],
  prepare: () => Promise<void>,
  examine: (where: string) => Promise<void>,
): Promise<number> {
  let killed = 0
  for (const call of calls) {
    for (let at = 1; ; at++) {
      await prepare()
      if (!(await killAtCall({ command, call, at }))) break
      killed++
      await examine(`${call} ${at}`)
    }
  }
  return killed
}
