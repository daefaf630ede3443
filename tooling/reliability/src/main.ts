/**
 * `npm run reliability`: tries to make stores lose something. It prints as it goes; the exit code tells whether something was lost.
 *
 * - `--part steps|cuts|crowd|damage|fuzz|race`, may be repeated; by default all
 * - `--driver NAME`, may be repeated; by default all that this kernel has; of steps also `zfs` and `devicemapper`, in a guest
 * - `--seed TEXT` chooses what is random; `--sample N` so many points of each operation and fault, and states of each disk
 * - `--operation NAME`, `--fault NAME`, `--point N` of steps; `--subsets N` of cuts
 * - `--processes N`, `--seconds N` of the crowd and the race, and of each reader that is fuzzed; `--target NAME` of those
 * - `--rows` tells rows of steps to another process, as a guest does
 * - `--document` writes docs/reliability.json and .md; what was not run stays as it is
 */
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import type { DriverDefinition } from '@graphdriver/core'
import type { Fault } from '@tooling/lab'
import { faults } from './calls.ts'
import { runCrowd } from './crowd.ts'
import { runCuts } from './cut.ts'
import { runDamages } from './damage.ts'
import { documentOf } from './document.ts'
import { fuzzTarget, keepInput, knownInputs } from './fuzz/run.ts'
import { targets } from './fuzz/targets.ts'
import { stepsInGuest, tellRow } from './guest-steps.ts'
import { isInGuests, missingFor, placeFor } from './place.ts'
import { runRace } from './race.ts'
import { emptyReport, type FuzzRow, joined, readReport, type Report, type StepRow } from './report.ts'
import { definitions, inGuests, ofWindows } from './root.ts'
import { runSteps } from './step.ts'

const { values } = parseArgs({
  options: {
    part: { type: 'string', multiple: true },
    driver: { type: 'string', multiple: true },
    seed: { type: 'string', default: new Date().toISOString() },
    sample: { type: 'string' },
    operation: { type: 'string', multiple: true },
    fault: { type: 'string', multiple: true },
    point: { type: 'string', multiple: true },
    subsets: { type: 'string', default: '3' },
    processes: { type: 'string', default: '64' },
    seconds: { type: 'string', default: '120' },
    target: { type: 'string', multiple: true },
    document: { type: 'boolean', default: false },
    rows: { type: 'boolean', default: false },
  },
})
const { seed } = values
const sample = values.sample === undefined ? undefined : Number(values.sample)
const seconds = Number(values.seconds)
const docs = path.resolve(import.meta.dirname, '../../../docs')
let problems = 0

function problem(what: string): void {
  problems += 1
  console.log(`LOST ${what}`)
}

function isChosen(part: string): boolean {
  return values.part?.includes(part) ?? true
}

/** @returns a row for each driver that this host has */
async function ofEachDriver<T>(
  run: (driver: string) => Promise<T>,
  drivers: readonly DriverDefinition[] = definitions,
): Promise<readonly T[]> {
  const rows: T[] = []
  for (const { name } of drivers) {
    if (values.driver?.includes(name) === false) continue
    const missing = missingFor(name)
    if (missing === undefined) rows.push(await run(name))
    else if (!isInGuests(name)) console.log(`${name}: cannot be tried here: ${missing}`)
  }
  return rows
}

/** What is asked of steps, for one driver in a guest. */
function wordsFor(driver: string): readonly string[] {
  const { operation, fault, point, sample: most } = values
  const chosen = Object.entries({ operation, fault, point, sample: most === undefined ? [] : [most] })
  return [
    '--part',
    'steps',
    '--rows',
    '--driver',
    driver,
    '--seed',
    seed,
    ...chosen.flatMap(([name, words = []]) => words.flatMap((word) => [`--${name}`, word])),
  ]
}

async function steps(): Promise<Partial<Report>> {
  const onRow = (row: StepRow): void => {
    const { driver, operation, fault, points, tried, bad } = row
    if (values.rows) tellRow(row)
    else console.log(`${driver} ${operation} ${fault}: ${tried} of ${points} points, ${bad} lost`)
    // It takes hours; what was done so far is not to be done again.
    keep({ steps: [row] })
  }
  await ofEachDriver(
    (driver) =>
      runSteps({
        driver,
        seed,
        sample,
        operations: values.operation,
        faults: values.fault as readonly Fault[] | undefined,
        numbers: values.point?.map(Number),
        onProblem: ({ operation, number, point, problems: what }) =>
          problem(
            `${driver} ${operation} ${point.fault}, point ${number}: ${point.call} ${point.at}\n  ${what.join('\n  ')}`,
          ),
        onRow,
      }),
    [...definitions, ...ofWindows, ...inGuests],
  )
  for (const { name } of inGuests) {
    // Where nothing else is said, what this kernel has.
    if (values.driver?.includes(name) !== true || missingFor(name) === undefined) continue
    await stepsInGuest(wordsFor(name), onRow, (line) =>
      line.startsWith('LOST ') ? problem(line.slice('LOST '.length)) : console.log(line),
    )
  }
  // Kept already, row by row.
  return {}
}

async function cuts(): Promise<Partial<Report>> {
  const rows = await ofEachDriver(async (driver) => {
    const row = await runCuts({ driver, seed, sample, subsets: Number(values.subsets), onProblem: problem })
    console.log(
      `${driver} on ${row.filesystem}: ${row.states} states of ${row.flushes} flushes, ${row.bad} lost`,
    )
    return row
  })
  return { cuts: rows }
}

async function crowd(): Promise<Partial<Report>> {
  const rows = await ofEachDriver(async (driver) => {
    await using place = await placeFor(driver)
    const row = await runCrowd({
      driver,
      root: await place.directory('crowd'),
      inputs: place.inputs,
      processes: Number(values.processes),
      seconds,
      kills: Math.floor(seconds / 3),
      seed,
    })
    for (const what of row.problems) problem(`${driver}, crowd: ${what}`)
    console.log(`${driver}: ${row.processes} processes, ${row.seconds} s, ${JSON.stringify(row.deeds)}`)
    return row
  })
  return { crowds: rows }
}

async function damage(): Promise<Partial<Report>> {
  const rows = await ofEachDriver(async (driver) => {
    const row = await runDamages({ driver, onProblem: problem })
    const { kinds, damages, found, repaired, bad } = row
    console.log(
      `${driver}: ${damages} damages of ${kinds} kinds of files, ${found} found, ${repaired} repaired, ${bad} lost`,
    )
    return row
  })
  return { damages: rows }
}

async function fuzzAll(): Promise<Partial<Report>> {
  const rows: FuzzRow[] = []
  for (const { name } of targets) {
    if (values.target?.includes(name) === false) continue
    const known = knownInputs(name).length
    const result = await fuzzTarget(name, { executions: Number.POSITIVE_INFINITY, seconds, seed })
    for (const { input, reason } of result.harms) problem(`${keepInput(name, input)}: ${reason}`)
    const { executions, corpus, blocks, harms } = result
    rows.push({ target: name, executions, corpus, blocks, known, bad: harms.length })
    console.log(`${name}: ${executions} executions, ${blocks} blocks, ${harms.length} harmful`)
  }
  return { fuzz: rows }
}

async function race(): Promise<Partial<Report>> {
  const result = await runRace(seconds)
  for (const what of result.problems) problem(`race: ${what}`)
  console.log(`race: ${result.applied} layers unpacked`)
  return { race: result }
}

function keep(found: Partial<Report>): void {
  report = joined(report, found)
  if (!values.document) return
  writeFileSync(file, `${JSON.stringify(report, undefined, 1)}\n`)
  writeFileSync(path.join(docs, 'reliability.md'), documentOf(report))
}

const parts = { steps, cuts, crowd, damage, fuzz: fuzzAll, race } as const
const unknown =
  values.part?.find((part) => !Object.hasOwn(parts, part)) ??
  values.fault?.find((one) => !faults.includes(one as Fault))
if (unknown !== undefined) throw new Error(`there is no '${unknown}'`)
const file = path.join(docs, 'reliability.json')
let report: Report = values.document ? { ...readReport(file), ...emptyReport() } : emptyReport()
for (const [part, run] of Object.entries(parts)) if (isChosen(part)) keep(await run())
console.log(`${problems} lost`)
process.exitCode = problems === 0 ? 0 : 1
