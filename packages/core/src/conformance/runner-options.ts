import type { ConformanceCase } from './case.ts'
import type { SubjectOptions } from './subject.ts'

/** What the adapters of test runners take. */
export interface RunnerOptions extends SubjectOptions {
  /** Only these; by default every case there is. */
  readonly cases?: readonly ConformanceCase[] | undefined
  /** File to which the results are added, as `conformance.json` is written. */
  readonly report?: string | undefined
  /** Milliseconds that one case may take; by default 120 000. */
  readonly timeout?: number | undefined
}
