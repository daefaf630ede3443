/** What a subject's program says: one line of JSON with the samples of each metric. */
import type { Samples } from '../work.ts'

export function tell(samples: Samples): void {
  process.stdout.write(`${JSON.stringify(samples)}\n`)
}

/** Resident memory of this process, in MiB, after what is garbage is gone. */
export function residentMiB(): number {
  globalThis.gc?.()
  return process.memoryUsage.rss() / 1024 ** 2
}
