/** `conformance.json`: what was examined, where, and what came of every case. */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Capabilities } from '../capabilities.ts'
import { areaOf } from './case.ts'
import { kernelText } from './host/kernel.ts'
import type { CaseResult, Outcome } from './run.ts'
import type { Subject } from './subject.ts'

/** Raised when readers of the file would have to change. */
export const reportFormat = 1

export interface ReportedCase {
  readonly id: string
  readonly title: string
  readonly outcome: Outcome
  readonly reason?: string | undefined
  readonly milliseconds: number
}

/** One driver on one filesystem. */
export interface Run {
  readonly driver: string
  readonly filesystem: string
  readonly kernel: string
  /** Absent when the driver could not be opened. */
  readonly capabilities?: Capabilities | undefined
  readonly cases: readonly ReportedCase[]
}

export interface Report {
  readonly format: typeof reportFormat
  readonly runs: readonly Run[]
}

/** Collects the results of one subject. */
export class RunRecord {
  readonly #subject: Subject
  readonly #results: CaseResult[] = []

  constructor(subject: Subject) {
    this.#subject = subject
  }

  add(result: CaseResult): void {
    this.#results.push(result)
  }

  run(): Run {
    const { name, lab } = this.#subject
    const capabilities = this.#results.find((result) => result.capabilities !== undefined)?.capabilities
    return {
      driver: name,
      filesystem: lab.name,
      kernel: kernelText(),
      ...(capabilities === undefined ? {} : { capabilities }),
      cases: this.#results.map(({ id, title, outcome, reason, milliseconds }) => ({
        id,
        title,
        outcome,
        ...(reason === undefined ? {} : { reason }),
        milliseconds,
      })),
    }
  }
}

/** The runs of several reports in one; of two of the same driver and filesystem the later stays. */
export function mergeReports(...reports: readonly Report[]): Report {
  const runs = new Map<string, Run>()
  for (const report of reports) {
    for (const run of report.runs) runs.set(`${run.driver}\n${run.filesystem}`, run)
  }
  return { format: reportFormat, runs: [...runs.values()] }
}

/** @throws Error for a file that is no report of this format */
export function readReport(file: string): Report {
  return parseReport(readFileSync(file, 'utf8'), file)
}

/** What `reportText` wrote. @throws Error for what is no report of this format */
export function parseReport(text: string, subject = 'this'): Report {
  const report: unknown = JSON.parse(text, finiteAgain)
  if (isReport(report)) return report
  throw new Error(`${subject} is no conformance report of format ${reportFormat}`)
}

function isReport(value: unknown): value is Report {
  return (
    typeof value === 'object' &&
    value !== null &&
    'format' in value &&
    value.format === reportFormat &&
    'runs' in value &&
    Array.isArray(value.runs)
  )
}

/** Adds runs to a report file, which need not be there. */
export function addToReport(file: string, ...runs: readonly Run[]): void {
  const old: Report = existsSync(file) ? readReport(file) : { format: reportFormat, runs: [] }
  mkdirSync(path.dirname(path.resolve(file)), { recursive: true })
  writeReport(file, mergeReports(old, { format: reportFormat, runs }))
}

export function writeReport(file: string, report: Report): void {
  const temporary = `${file}.${process.pid}`
  writeFileSync(temporary, `${reportText(report)}\n`)
  renameSync(temporary, file)
}

export function reportText(report: Report): string {
  return JSON.stringify(report, finite, 1)
}

/** JSON has no Infinity, and a driver without a limit of depth says just that. */
function finite(_: string, value: unknown): unknown {
  return value === Number.POSITIVE_INFINITY ? 'Infinity' : value
}

function finiteAgain(_: string, value: unknown): unknown {
  return value === 'Infinity' ? Number.POSITIVE_INFINITY : value
}

/** How many cases of a list came out how. */
export function tally(cases: readonly { readonly outcome: Outcome }[]): Readonly<Record<Outcome, number>> {
  const counts = { passed: 0, failed: 0, 'not-applicable': 0, 'cannot-run': 0, deviates: 0 }
  for (const { outcome } of cases) counts[outcome]++
  return counts
}

/** A list by area, in the order of the list. */
export function byArea<T extends { readonly id: string }>(
  cases: readonly T[],
): ReadonlyMap<string, readonly T[]> {
  return Map.groupBy(cases, areaOf)
}
