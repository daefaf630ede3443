/** Programs, timed from their start to their end. */
import { readFileSync } from 'node:fs'
import { execa } from 'execa'
import type { Samples } from '../work.ts'

export interface Timed {
  readonly milliseconds: number
  /** The most memory that it had at a time, in MiB, as the kernel has it (VmHWM); its own, not its children's. */
  readonly peakMiB: number
  readonly stdout: string
}

const pollMilliseconds = 5

/** @throws what it wrote, when it fails */
export async function timed(
  program: string,
  args: readonly string[],
  options: { readonly env?: Readonly<Record<string, string>>; readonly input?: string } = {},
): Promise<Timed> {
  const start = performance.now()
  const running = execa(program, args, {
    ...options,
    ...(options.input === undefined ? { stdin: 'ignore' } : {}),
    maxBuffer: 1024 ** 3,
  })
  let peakMiB = 0
  const poll = setInterval(() => {
    peakMiB = peakOf(running.pid) ?? peakMiB
  }, pollMilliseconds)
  try {
    const { stdout } = await running
    return { milliseconds: performance.now() - start, peakMiB, stdout: String(stdout) }
  } finally {
    clearInterval(poll)
  }
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
