import { access, constants, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { benchCases, type BenchResult, type BenchRun, runBench, type Scale } from '@graphdriver/core/bench'
import { writeAtomically } from '@graphdriver/sys'
import { chooseCases } from '../case-choice.ts'
import { comparisonHtml, comparisonSvg } from '../comparison/chart.ts'
import { compareDrivers } from '../comparison/compare.ts'
import { type ComparedDriver, isMeasured } from '../comparison/figures.ts'
import { comparisonText } from '../comparison/text.ts'
import { type ExaminationFlags, examinedDriver, listCases, workingDirectory } from '../examined-driver.ts'
import { UsageError } from '../failure.ts'
import type { Invocation } from '../invocation.ts'
import { formatMilliseconds } from '../quantity.ts'
import { requirePrivileges } from '../session.ts'
import { UnhurriedEnding } from '../unhurried-ending.ts'

export interface BenchFlags extends ExaminationFlags {
  readonly rounds?: number
  readonly scale?: Scale
  readonly layer?: string
  readonly containers?: number
  readonly chart?: string
  readonly from?: readonly string[]
}

/**
 * `graphdriver bench DRIVER`: measures it, and judges nothing; 1 if the driver failed at something. Without a driver all that can
 * serve are compared.
 */
export async function bench(
  invocation: Invocation,
  driver: string | undefined,
  flags: BenchFlags,
): Promise<number> {
  const { output } = invocation
  const cases = chooseCases(benchCases, flags.case)
  if (flags.list === true) return listCases(output, cases)
  if (driver === undefined && flags.case === undefined) return compare(invocation, flags)
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

/** What users of one image feel of its driver; `--chart` draws it. */
async function compare(invocation: Invocation, flags: BenchFlags): Promise<number> {
  const { directory = tmpdir(), containers = 1000, chart, from } = flags
  if (flags.rounds !== undefined || flags.scale !== undefined || flags.layer !== undefined)
    throw new UsageError('--rounds, --scale and --layer are for one driver; name it')
  if (containers < 2) throw new UsageError('--containers takes 2 or more')
  const draw = drawing(chart)
  const measure = async (): Promise<readonly ComparedDriver[]> => {
    await requirePrivileges(invocation)
    const place = await workingDirectory(directory)
    const onDriver = (name: string): void => invocation.log.info(`measuring ${name}`)
    return await compareDrivers(invocation, { directory: place, size, containers, onDriver })
  }
  const compared = from === undefined ? await measure() : (await Promise.all(from.map(readComparison))).flat()
  if (chart !== undefined) await writeAtomically(chart, draw(compared))
  invocation.output.result({ compared }, () => comparisonText(compared))
  return compared.every(isMeasured) ? 0 : 1
}

const size = { files: 500, fileBytes: 4096, sharedBytes: 4 * 1024 * 1024 }

function drawing(chart: string | undefined): (compared: readonly ComparedDriver[]) => string {
  switch (chart === undefined ? '.svg' : path.extname(chart)) {
    case '.svg':
      return comparisonSvg
    case '.html':
      return comparisonHtml
    default:
      throw new UsageError(`--chart ${String(chart)}: name a file that ends in .svg or .html`)
  }
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

/** What `--json` printed, there or on another host. */
async function readComparison(file: string): Promise<readonly ComparedDriver[]> {
  const text = await readFile(file, 'utf8')
  try {
    return (JSON.parse(text) as { readonly compared: readonly ComparedDriver[] }).compared.map(requireFigures)
  } catch (cause) {
    throw new UsageError(`--from ${file}: it is not what bench --json prints`, { cause })
  }
}

function requireFigures(compared: ComparedDriver): ComparedDriver {
  const isWhole =
    typeof compared.driver === 'string' && (!isMeasured(compared) || compared.containers.count > 0)
  if (!isWhole) throw new TypeError('no figures')
  return compared
}
