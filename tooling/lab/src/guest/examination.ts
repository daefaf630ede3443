/** In a guest: the suite as a program. Each line that it prints is one result, or at the end the report. */
import { inspect } from 'node:util'
import {
  type CaseResult,
  type ConformanceCase,
  examine,
  reportFormat,
  reportText,
  type Run,
  type Subject,
} from '@graphdriver/core/conformance'

export interface Examination {
  readonly subject: Subject
  readonly cases: readonly ConformanceCase[]
}

/** What is said of a case as soon as it has ended. */
export type ToldResult = Pick<CaseResult, 'id' | 'outcome' | 'reason'> & {
  /** What was thrown, with its stack. */
  readonly error?: string | undefined
}

export type ToldLine = { readonly result: ToldResult } | { readonly report: string }

/** Examines one after another, and reports them as one run, the first's. */
export async function tellExaminations(first: Examination, ...more: readonly Examination[]): Promise<void> {
  const run = await tellResults(first)
  const cases = [...run.cases]
  for (const one of more) cases.push(...(await tellResults(one)).cases)
  tell({ report: reportText({ format: reportFormat, runs: [{ ...run, cases }] }) })
}

function tellResults({ subject, cases }: Examination): Promise<Run> {
  return examine(subject, {
    cases,
    onResult: ({ id, outcome, reason, error }) =>
      tell({ result: { id, outcome, reason, error: textOf(error) } }),
  })
}

function tell(line: ToldLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

function textOf(error: unknown): string | undefined {
  if (error === undefined) return undefined
  return error instanceof Error ? (error.stack ?? error.message) : inspect(error)
}
