/** The plain loop over the cases, for programs that have no test runner. */
import type { DriverDefinition } from '../definition.ts'
import { allCases } from './cases.ts'
import type { ConformanceCase } from './case.ts'
import { temporaryLab } from './lab.ts'
import { type Run, RunRecord } from './report.ts'
import { type CaseResult, runCase } from './run.ts'
import type { Subject, SubjectOptions } from './subject.ts'

/** A subject with what the caller left out. */
export function subjectOf(definition: DriverDefinition, options: SubjectOptions = {}): Subject {
  const { lab = temporaryLab(), name = definition.name, module, deviations = {} } = options
  for (const id of Object.keys(deviations)) {
    if (!allCases.some((one) => one.id === id)) throw new Error(`deviation ${id} is no case of this suite`)
  }
  return {
    definition,
    lab,
    name,
    options: options.options ?? {},
    module: module === undefined ? undefined : String(module),
    deviations,
  }
}

export interface ExamineOptions {
  readonly cases?: readonly ConformanceCase[] | undefined
  /** Hears of each result as it comes. */
  readonly onResult?: ((result: CaseResult) => void) | undefined
  /** Looked at between two cases. */
  readonly signal?: AbortSignal | undefined
}

/** Runs every case on a subject, one after another. */
export async function examine(subject: Subject, options: ExamineOptions = {}): Promise<Run> {
  const record = new RunRecord(subject)
  for (const one of options.cases ?? allCases) {
    options.signal?.throwIfAborted()
    const result = await runCase(subject, one)
    record.add(result)
    options.onResult?.(result)
  }
  return record.run()
}
