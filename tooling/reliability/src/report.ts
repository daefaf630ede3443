/** What runs have found, as docs/reliability.json keeps it: each part is replaced when it is run again. */
import { existsSync, readFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import type { Fault } from '@tooling/lab'
import type { CrowdResult } from './crowd.ts'
import type { RaceResult } from './race.ts'

export interface StepRow {
  readonly driver: string
  readonly operation: string
  readonly fault: Fault
  /** Points that there are, and that were tried. */
  readonly points: number
  readonly tried: number
  /** What came of them: the process died, the operation failed, or it came through all the same. */
  readonly killed: number
  readonly failed: number
  readonly overcome: number
  readonly missed: number
  readonly bad: number
}

export interface CutRow {
  readonly driver: string
  readonly filesystem: string
  readonly flushes: number
  readonly writes: number
  readonly states: number
  readonly bad: number
}

export interface DamageRow {
  readonly driver: string
  /** Kinds of files, and damages in all. */
  readonly kinds: number
  readonly damages: number
  readonly found: number
  readonly repaired: number
  readonly bad: number
}

export interface FuzzRow {
  readonly target: string
  readonly executions: number
  readonly corpus: number
  readonly blocks: number
  /** Inputs that once did harm, and are tried first each time. */
  readonly known: number
  readonly bad: number
}

export interface Report {
  readonly format: 1
  readonly machine: string
  readonly steps?: readonly StepRow[] | undefined
  readonly cuts?: readonly CutRow[] | undefined
  readonly crowds?: readonly CrowdResult[] | undefined
  readonly damages?: readonly DamageRow[] | undefined
  readonly fuzz?: readonly FuzzRow[] | undefined
  readonly race?: RaceResult | undefined
}

/** What was run takes the place of what was found of the same before; all else stays. */
export function joined(before: Report, found: Partial<Report>): Report {
  return {
    ...before,
    ...found,
    steps: rows(
      before.steps,
      found.steps,
      ({ driver, operation, fault }) => `${driver} ${operation} ${fault}`,
    ),
    cuts: rows(before.cuts, found.cuts, ({ driver }) => driver),
    crowds: rows(before.crowds, found.crowds, ({ driver }) => driver),
    damages: rows(before.damages, found.damages, ({ driver }) => driver),
    fuzz: rows(before.fuzz, found.fuzz, ({ target }) => target),
  }
}

function rows<Row>(
  before: readonly Row[] = [],
  found: readonly Row[] = [],
  keyOf: (row: Row) => string,
): readonly Row[] | undefined {
  const all = new Map([...before, ...found].map((row) => [keyOf(row), row]))
  return all.size === 0 ? undefined : [...all.values()]
}

export function emptyReport(): Report {
  const { length, 0: first } = cpus()
  return {
    format: 1,
    machine: `Linux ${release()}, ${length} × ${first?.model ?? 'processor'}, Node ${process.version}`,
  }
}

export function readReport(file: string): Report {
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Report) : emptyReport()
}
