/** Programs, timed from their start to their end. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import type { Samples } from '../work.ts'

export interface Timed {
  readonly milliseconds: number
  readonly stdout: string
}

export interface Weighed extends Timed {
  /** The most memory that it had at a time, in MiB, as the kernel has it (VmHWM); its own, not its children's. */
  readonly peakMiB: number
}

interface TimedOptions {
  readonly env?: Readonly<Record<string, string>>
}

/** @throws what it wrote, when it fails */
export async function timed(
  program: string,
  args: readonly string[],
  { env }: TimedOptions = {},
): Promise<Timed> {
  return watched(program, args, env, () => undefined)
}

const pollMilliseconds = 10

/** The same, with a look at its memory now and then. */
export async function weighed(program: string, args: readonly string[]): Promise<Weighed> {
  let peakMiB = 0
  const result = await watched(program, args, undefined, (pid) => {
    const poll = setInterval(() => {
      peakMiB = peakOf(pid) ?? peakMiB
    }, pollMilliseconds)
    return () => clearInterval(poll)
  })
  return { ...result, peakMiB }
}

/** By nothing but spawn(): what stands between would be in the times. */
async function watched(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> | undefined,
  watch: (pid: number | undefined) => (() => void) | undefined,
): Promise<Timed> {
  const start = performance.now()
  const running = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(env === undefined ? {} : { env: { ...process.env, ...env } }),
  })
  const ended = once(running, 'exit')
  const stop = watch(running.pid)
  const [stdout, stderr] = await Promise.all([text(running.stdout), text(running.stderr)])
  const [status, signal]: (number | string | null)[] = await ended
  const milliseconds = performance.now() - start
  stop?.()
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${status ?? signal}\n${stderr}`)
  return { milliseconds, stdout }
}

function peakOf(pid: number | undefined): number | undefined {
  try {
    const kilobytes = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return kilobytes === undefined ? undefined : Number(kilobytes) / 1024
  } catch {
    return undefined
  }
}

/** The time of an action, in milliseconds. */
export async function timeOf(action: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await action()
  return performance.now() - start
}

export function wall(milliseconds: number): Samples {
  return { wall: [milliseconds] }
}
