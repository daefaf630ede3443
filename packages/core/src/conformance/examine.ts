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
  /** Milliseconds that one case may take; by default 120 000. */
  readonly timeout?: number | undefined
}

/** Runs every case on a subject, one after another. */
export async function examine(subject: Subject, options: ExamineOptions = {}): Promise<Run> {
  const record = new RunRecord(subject)
  for (const one of options.cases ?? allCases) {
    options.signal?.throwIfAborted()
    const result = await inTime(one, runCase(subject, one), options.timeout ?? 120_000)
    record.add(result)
    options.onResult?.(result)
  }
  return record.run()
}

/**
 * A driver that waits for ever fails the case, where a test runner would fail it too. What the case has made stays
 * until the process ends; the timer keeps the process alive until then, though nothing else may.
 */
async function inTime(
  { id, title }: ConformanceCase,
  running: Promise<CaseResult>,
  milliseconds: number,
): Promise<CaseResult> {
  const { promise, resolve } = Promise.withResolvers<CaseResult>()
  const error = new Error(`the case has not ended after ${milliseconds} ms`)
  const late: CaseResult = { id, title, outcome: 'failed', reason: error.message, milliseconds, error }
  const timer = setTimeout(() => resolve(late), milliseconds)
  try {
    return await Promise.race([running, promise])
  } finally {
    clearTimeout(timer)
  }
}
