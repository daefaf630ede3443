/** A bounded sample of what `npm run reliability` does, another one with each commit; and every point that ever did harm. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { type Fault, missingGuest, need, recordedDiskRequirements } from '@tooling/lab'
import { describe, expect, test } from 'vitest'
import { callsOf, faults } from '../src/calls.ts'
import { runCrowd } from '../src/crowd.ts'
import { recordedKindOf, runCuts } from '../src/cut.ts'
import { fuzzTarget } from '../src/fuzz/run.ts'
import { targets } from '../src/fuzz/targets.ts'
import { operations, operationsOf } from '../src/operations.ts'
import { missingFor, placeFor } from '../src/place.ts'
import { runRace } from '../src/race.ts'
import { stepsInGuest } from '../src/guest-steps.ts'
import { definitions, inGuests, ofWindows } from '../src/root.ts'
import type { StepRow } from '../src/report.ts'
import { runSteps } from '../src/step.ts'
import { Stepper } from '../src/stepper.ts'

/** A point that once did harm. */
interface KnownPoint {
  readonly driver: string
  readonly operation: string
  readonly fault: Fault
  readonly call: string
  readonly at: number
}

const seed = execFileSync('git', ['rev-parse', 'HEAD'], { cwd: import.meta.dirname, encoding: 'utf8' }).trim()
const known = JSON.parse(
  readFileSync(path.join(import.meta.dirname, '../corpus/points.json'), 'utf8'),
) as readonly KnownPoint[]
const noTracer = need({ root: true, command: 'strace' })

/** Each operation meets one fault, the kill twice as often; which ones changes with the seed. */
function faultsFor(driver: string, operation: string): readonly Fault[] {
  const sum = Buffer.from(`${seed} ${driver} ${operation}`).reduce(
    (total, byte) => (total * 31 + byte) % 65_521,
    7,
  )
  return ['kill', faults[sum % faults.length] ?? 'EIO']
}

/** So many points of an operation and each of its faults. */
async function stepped(
  driver: string,
  operation: string,
  sample: number,
): Promise<{ readonly lost: readonly unknown[]; readonly isTried: boolean }> {
  const lost: unknown[] = []
  const rows = await runSteps({
    driver,
    operations: [operation],
    faults: faultsFor(driver, operation),
    sample,
    seed,
    onProblem: (problem) => lost.push(problem),
    onRow: () => undefined,
  })
  return { lost, isTried: rows.every(({ tried }) => tried > 0) }
}

for (const { name: driver } of definitions) {
  const missing = missingFor(driver) ?? noTracer
  describe.skipIf(missing !== undefined)(
    `${driver}, seed ${seed}${missing === undefined ? '' : ` (skipped: ${missing})`}`,
    () => {
      test.each(operations.map(({ name }) => name))(
        'survives that it is cut short: %s',
        async (operation) => {
          expect(await stepped(driver, operation, 2)).toEqual({ lost: [], isTried: true })
        },
        300_000,
      )

      test.each(known.filter((point) => point.driver === driver))(
        'survives $operation, $fault at $call $at, as it once did not',
        async ({ operation: name, ...point }) => {
          const operation = operations.find((one) => one.name === name)
          if (operation === undefined) throw new Error(`no operation ${name}`)
          await using place = await placeFor(driver)
          await using stepper = await Stepper.on(
            driver,
            operation,
            await place.directory('known'),
            place.inputs,
          )
          expect((await stepper.try(point)).problems).toEqual([])
        },
        120_000,
      )

      const noDisk = need(...recordedDiskRequirements(recordedKindOf(driver)))
      test.skipIf(noDisk !== undefined)(
        'survives power cuts',
        async () => {
          const lost: string[] = []
          const row = await runCuts({
            driver,
            subsets: 2,
            sample: 12,
            seed,
            onProblem: (what) => lost.push(what),
          })
          expect(lost).toEqual([])
          expect(row.states).toBe(12)
          expect(row.flushes).toBeGreaterThan(20)
        },
        300_000,
      )

      test.skipIf(noDisk !== undefined || driver !== 'overlay2')(
        'would not survive them if it did not wait for the disk',
        async () => {
          const row = await runCuts({
            driver,
            subsets: 2,
            sample: 40,
            seed,
            durability: 'volatile',
            onProblem: () => undefined,
          })
          expect(row.bad).toBeGreaterThan(0)
        },
        300_000,
      )

      test('survives many processes at a time, of which some are killed', async () => {
        await using place = await placeFor(driver)
        const root = await place.directory('crowd')
        const result = await runCrowd({
          driver,
          root,
          inputs: place.inputs,
          processes: 8,
          seconds: 8,
          kills: 3,
          seed,
        })
        expect(result.problems).toEqual([])
        expect(result.deeds.made).toBeGreaterThan(0)
      }, 300_000)
    },
  )
}

test.each(targets.map(({ name }) => name))(
  'whatever is read as %s is read or refused',
  async (target) => {
    const { harms, executions, blocks } = await fuzzTarget(target, { executions: 2000, seconds: 15, seed })
    expect(harms.map(({ input, reason }) => `${input.toString('base64')}: ${reason}`)).toEqual([])
    expect(executions).toBeGreaterThan(50)
    expect(blocks).toBeGreaterThan(20)
  },
  120_000,
)

test.skipIf(need({ root: true }) !== undefined)(
  'nothing outside changes while links are put in the way',
  async () => {
    const { applied, problems } = await runRace(3)
    expect(problems).toEqual([])
    expect(applied).toBeGreaterThan(10)
  },
)

test('every call that a fault meets is one that steps count', () => {
  for (const fault of faults) expect(callsOf[fault].length).toBeGreaterThan(3)
})

for (const { name: driver } of ofWindows) {
  const missing = missingFor(driver) ?? noTracer
  test.skipIf(missing !== undefined).each(operationsOf(driver).map(({ name }) => name))(
    `${driver} on NTFS survives that it is cut short: %s (${missing ?? `seed ${seed}`})`,
    async (operation) => {
      expect(await stepped(driver, operation, 1)).toEqual({ lost: [], isTried: true })
    },
    120_000,
  )
}

const noGuest = await missingGuest({ command: 'strace' })
describe.skipIf(noGuest !== undefined)(`in a guest, seed ${seed} (${noGuest ?? 'as root'})`, () => {
  test.each(inGuests.map(({ name }) => name))(
    '%s survives that an operation is cut short',
    async (driver) => {
      const chosen = operations[Number.parseInt(seed.slice(0, 6), 16) % operations.length]?.name ?? 'load'
      const words = ['--part', 'steps', '--rows', '--driver', driver, '--operation', chosen, '--seed', seed]
      const faulted = faultsFor(driver, chosen).flatMap((fault) => ['--fault', fault])
      const lines: string[] = []
      let tried = 0
      const onRow = (row: StepRow): void => {
        tried += row.tried
      }
      await stepsInGuest([...words, ...faulted, '--sample', '3'], onRow, (line) => lines.push(line))
      expect(lines).toEqual(['0 lost'])
      expect(tried).toBeGreaterThanOrEqual(3)
    },
    600_000,
  )
})
