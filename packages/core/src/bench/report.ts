/** What was measured, on what, as a document. */
import { cpus } from 'node:os'
import { kernelText } from '../conformance/host/kernel.ts'
import type { Subject } from '../conformance/subject.ts'
import type { Parameters, Scale } from './bench-case.ts'
import type { Measurement } from './measurement.ts'

/** Raised when readers of the document would have to change. */
export const benchFormat = 1

interface Reported {
  readonly id: string
  readonly title: string
  readonly parameters: Parameters
}

export interface Measurements extends Reported, Measurement {
  readonly outcome: 'measured'
  /** The median divided by how many equal parts a round had. */
  readonly each?: { readonly of: string; readonly count: number; readonly median: number } | undefined
}

export interface Unmeasured extends Reported {
  /** `not-run`: the host, the driver or the settings have no room for it. */
  readonly outcome: 'not-run' | 'failed'
  readonly reason: string
}

export type BenchResult = Measurements | Unmeasured

/** One driver on one filesystem. */
export interface BenchRun {
  readonly format: typeof benchFormat
  readonly driver: string
  readonly filesystem: string
  readonly kernel: string
  readonly node: string
  readonly cpu: string
  readonly scale: Scale
  readonly cases: readonly BenchResult[]
}

/** The document but for its cases. */
export function benchHead({ name, lab }: Subject, scale: Scale): Omit<BenchRun, 'cases'> {
  const processors = cpus()
  const model = processors[0]?.model.trim() ?? 'unknown'
  return {
    format: benchFormat,
    driver: name,
    filesystem: lab.name,
    kernel: kernelText(),
    node: process.version,
    cpu: `${processors.length} x ${model}`,
    scale,
  }
}
