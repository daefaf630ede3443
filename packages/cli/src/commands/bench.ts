import { access, constants } from 'node:fs/promises'
import { benchCases, type BenchResult, type BenchRun, runBench, type Scale } from '@graphdriver/core/bench'
import { chooseCases } from '../case-choice.ts'
import { type ExaminationFlags, examinedDriver, listCases } from '../examined-driver.ts'
import type { Invocation } from '../invocation.ts'
import { formatMilliseconds } from '../quantity.ts'
import { UnhurriedEnding } from '../unhurried-ending.ts'

export interface BenchFlags extends ExaminationFlags {
  readonly rounds?: number
  readonly scale?: Scale
  readonly layer?: string
}

/** `graphdriver bench DRIVER`: measures it, and judges nothing; 1 if the driver failed at something. */
export async function bench(
  invocation: Invocation,
  driver: string | undefined,
  flags: BenchFlags,
): Promise<number> {
  const { output } = invocation
  const cases = chooseCases(benchCases, flags.case)
  if (flags.list === true) return listCases(output, cases)
  const { rounds, scale, layer } = flags
  if (layer !== undefined) await access(layer, constants.R_OK)
  const subject = await examinedDriver(invocation, driver, flags)
  await using _ = subject.lab
  using ending = new UnhurriedEnding(invocation)

  const width = Math.max(...cases.map(({ id }) => id.length))
  output.line(row(['CASE', 'ROUNDS', 'MEDIAN ms', 'P99 ms', 'MIN ms'], width))
  const onResult = (result: BenchResult): void => output.line(row(cells(result), width))
  const run = await runBench(subject, { cases, rounds, scale, layer, onResult, signal: ending.signal })

  output.result(run, () => `\n${circumstances(run)}`)
  return run.cases.some(({ outcome }) => outcome === 'failed') ? 1 : 0
}

/** The name to the left, numbers to the right, and what else there is to say after them. */
function row([id = '', ...rest]: readonly string[], width: number): string {
  const numbers = rest.slice(0, 4).map((cell) => cell.padStart(9))
  return [id.padEnd(width), ...numbers, ...rest.slice(4)].join('  ').trimEnd()
}

function cells(result: BenchResult): readonly string[] {
  if (result.outcome !== 'measured') {
    const word = result.outcome === 'failed' ? 'FAILED' : 'not run'
    return [result.id, '', '', '', '', `${word}: ${result.reason.replaceAll('\n', ' ')}`]
  }
  const { id, rounds, median, p99, min, parameters, each } = result
  const numbers = [median, p99, min].map(formatMilliseconds)
  const notes = Object.entries(parameters).map(([name, value]) => `${name} ${value}`)
  const shares = each === undefined ? [] : [`${formatMilliseconds(each.median)} each`]
  return [id, String(rounds), ...numbers, [...notes, ...shares].join(', ')]
}

/** Numbers without these mean nothing. */
function circumstances({ driver, filesystem, kernel, node, cpu, scale }: BenchRun): string {
  return `${driver} on ${filesystem}, scale ${scale}; ${kernel}, node ${node}, ${cpu}\n`
}
