/** In a guest: the suite as a program. Each line that it prints is the result of one case. */
import { inspect } from 'node:util'
import {
  type ConformanceCase,
  examine,
  reportFormat,
  reportText,
  RunRecord,
  type Subject,
} from '@graphdriver/core/conformance'

export interface Examination {
  readonly subject: Subject
  readonly cases: readonly ConformanceCase[]
}

/** What is said of a case as soon as it has ended. */
export interface ToldLine {
  /** Of a run of this case alone, as `reportText` writes it: whoever hears no more has that much. */
  readonly report: string
  /** What was thrown, with its stack. */
  readonly error?: string | undefined
}

/** Examines one after another. */
export async function tellExaminations(...examinations: readonly Examination[]): Promise<void> {
  for (const { subject, cases } of examinations)
    await examine(subject, {
      cases,
      onResult: (result) => {
        const record = new RunRecord(subject)
        record.add(result)
        const report = reportText({ format: reportFormat, runs: [record.run()] })
        tell({ report, error: textOf(result.error) })
      },
    })
}

function tell(line: ToldLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

function textOf(error: unknown): string | undefined {
  if (error === undefined) return undefined
  return error instanceof Error ? (error.stack ?? error.message) : inspect(error)
}
