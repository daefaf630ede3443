import { existsSync } from 'node:fs'
import {
  addToReport,
  allCases,
  byArea,
  type CaseResult,
  type ConformanceCase,
  differentialCases,
  examine,
  type Outcome,
  readReport,
  reportFormat,
  reportText,
  type Run,
  tally,
} from '@graphdriver/core/conformance'
import { chooseCases } from '../case-choice.ts'
import { type ExaminationFlags, examinedDriver, listCases, repetition } from '../examined-driver.ts'
import { UsageError } from '../failure.ts'
import type { Invocation } from '../invocation.ts'
import { table } from '../table.ts'
import { UnhurriedEnding } from '../unhurried-ending.ts'

export interface ConformanceFlags extends ExaminationFlags {
  readonly against?: string
  readonly report?: string
}

/** `graphdriver conformance DRIVER`: runs the suite on it; 1 if a case failed. */
export async function conformance(
  invocation: Invocation,
  driver: string | undefined,
  flags: ConformanceFlags,
): Promise<number> {
  const { output, log } = invocation
  const cases = chooseCases(await casesFor(invocation, flags), flags.case)
  if (flags.list === true) return listCases(output, cases)
  requireReport(flags.report)
  const subject = await examinedDriver(invocation, driver, flags)
  await using _ = subject.lab
  using ending = new UnhurriedEnding(invocation)

  const width = Math.max(...cases.map(({ id }) => id.length))
  const failed: CaseResult[] = []
  const hear = (result: CaseResult): void => {
    // What a terminal's Ctrl-C did to the programs that a case had started says nothing of the driver.
    if (ending.signal.aborted) return
    if (result.outcome === 'failed') failed.push(result)
    output.line(`${result.id.padEnd(width)}  ${verdict(result)}`)
  }
  const run = await examine(subject, { cases, onResult: hear, signal: ending.signal })
  ending.signal.throwIfAborted()

  if (flags.report !== undefined) addToReport(flags.report, run)
  // The text of a report knows how to say what JSON has no word for.
  const document: unknown = JSON.parse(reportText({ format: reportFormat, runs: [run] }))
  output.result(document, () => {
    const against = flags.against === undefined ? '' : ` --against ${flags.against}`
    const again = repetition(invocation, 'conformance', driver, flags) + against
    const failures = failed.map((one) => failureText(one, `${again} --case ${one.id}`, log.verbose))
    return `\n${failures.join('')}${summary(run)}`
  })
  return failed.length === 0 ? 0 : 1
}

/** The suite, or with another driver the cases that hold one to the other. */
async function casesFor(
  invocation: Invocation,
  flags: ConformanceFlags,
): Promise<readonly ConformanceCase[]> {
  if (flags.against === undefined) return allCases
  return differentialCases(await examinedDriver(invocation, flags.against, flags))
}

/** Better now than after all cases have run. */
function requireReport(file: string | undefined): void {
  if (file === undefined || !existsSync(file)) return
  try {
    readReport(file)
  } catch (cause) {
    throw new UsageError(`${file} is no report to which results could be added`, { cause })
  }
}

const words: Readonly<Record<Outcome, string>> = {
  passed: 'passed',
  failed: 'FAILED',
  'not-applicable': 'not applicable',
  'cannot-run': 'cannot run',
  deviates: 'deviates',
}

function verdict({ outcome, reason }: CaseResult): string {
  return outcome === 'passed' || outcome === 'failed'
    ? words[outcome]
    : `${words[outcome]}: ${(reason ?? '').replaceAll('\n', ' ')}`
}

function failureText({ id, title, reason, error }: CaseResult, again: string, verbose: boolean): string {
  const told = verbose && error instanceof Error ? (error.stack ?? reason) : reason
  return `FAILED ${id}: ${title}\n${indented(told ?? '')}\n    again: ${again}\n\n`
}

function indented(text: string): string {
  return text.trimEnd().replaceAll(/^(?=.)/gm, '    ')
}

/** By area and in all. */
function summary({ driver, filesystem, cases }: Run): string {
  const all = tally(cases)
  const shown = (['passed', 'failed', 'not-applicable', 'cannot-run', 'deviates'] as const).filter(
    (outcome) => outcome === 'passed' || all[outcome] > 0,
  )
  const heads = ['AREA', ...shown.map((outcome) => words[outcome].toUpperCase())]
  const rows = [...byArea(cases)].map(([area, some]) => {
    const counts = tally(some)
    return [area, ...shown.map((outcome) => String(counts[outcome]))]
  })
  const total = shown.map((outcome) => `${all[outcome]} ${words[outcome].toLowerCase()}`)
  return `${table(heads, rows)}\n${driver} on ${filesystem}: ${total.join(', ')}\n`
}
