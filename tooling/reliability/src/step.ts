/** All operations of one driver, cut short at points of some or all numbers. */
import type { Fault, FaultPoint } from '@tooling/lab'
import { faults as allFaults } from './calls.ts'
import { operationsOf } from './operations.ts'
import { placeFor } from './place.ts'
import type { StepRow } from './report.ts'
import { numberedSample } from './sample.ts'
import { type Outcome, Stepper } from './stepper.ts'

export interface StepRequest {
  readonly driver: string
  /** By default all. */
  readonly operations?: readonly string[] | undefined
  readonly faults?: readonly Fault[] | undefined
  /** How many of each operation and fault; by default all. */
  readonly sample?: number | undefined
  readonly seed: string
  /** These only, in their place. */
  readonly numbers?: readonly number[] | undefined
  readonly onProblem: (problem: PointProblem) => void
  readonly onRow: (row: StepRow) => void
}

export interface PointProblem {
  readonly driver: string
  readonly operation: string
  readonly number: number
  readonly point: FaultPoint
  readonly problems: readonly string[]
}

export async function runSteps(request: StepRequest): Promise<readonly StepRow[]> {
  const { driver, sample = Number.POSITIVE_INFINITY, seed, numbers, onProblem, onRow } = request
  const rows: StepRow[] = []
  await using place = await placeFor(driver)
  for (const operation of operationsOf(driver)) {
    if (request.operations?.includes(operation.name) === false) continue
    await using stepper = await Stepper.on(
      driver,
      operation,
      await place.directory(operation.name),
      place.inputs,
    )
    for (const fault of allFaults) {
      if (request.faults?.includes(fault) === false) continue
      const points = await stepper.points([fault])
      const chosen = numberedSample(points, sample, `${seed} ${driver} ${operation.name} ${fault}`, numbers)
      const outcomes: Outcome[] = []
      for (const { point, number } of chosen) {
        const outcome = await stepper.try(point)
        outcomes.push(outcome)
        if (outcome.problems.length > 0)
          onProblem({ driver, operation: operation.name, number, point, problems: outcome.problems })
      }
      const count = (met: Outcome['met']): number => outcomes.filter((outcome) => outcome.met === met).length
      const row: StepRow = {
        driver,
        operation: operation.name,
        fault,
        points: points.length,
        tried: outcomes.length,
        killed: count('killed'),
        failed: count('failed'),
        overcome: count('overcome'),
        missed: count('missed'),
        bad: outcomes.filter(({ problems }) => problems.length > 0).length,
      }
      rows.push(row)
      onRow(row)
    }
  }
  return rows
}
