import type { CaseContext } from '../conformance/context.ts'
import { attempt } from '../conformance/run.ts'
import type { Subject } from '../conformance/subject.ts'
import type { BenchCase, BenchSettings, Measured, Scale } from './bench-case.ts'
import { benchCases } from './cases.ts'
import { measurementOf } from './measurement.ts'
import { benchHead, type BenchResult, type BenchRun, type Measurements } from './report.ts'

export interface BenchOptions {
  /** Only these; by default every case there is. */
  readonly cases?: readonly BenchCase[] | undefined
  /** Instead of each case's own number. */
  readonly rounds?: number | undefined
  readonly scale?: Scale | undefined
  /** The tar of a layer, plain or gzip; without one, the case that applies it is left out. */
  readonly layer?: string | undefined
  /** Hears of each result as it comes. */
  readonly onResult?: ((result: BenchResult) => void) | undefined
  /** Looked at before each timed part. */
  readonly signal?: AbortSignal | undefined
}

/** Measures one case after another, each with a fresh driver on a fresh root. A case that fails stops no other. */
export async function runBench(subject: Subject, options: BenchOptions = {}): Promise<BenchRun> {
  const { cases = benchCases, scale = 'standard', layer, rounds, signal, onResult } = options
  if (rounds !== undefined && !(Number.isSafeInteger(rounds) && rounds > 0))
    throw new RangeError(`rounds must be a whole number above 0, not ${rounds}`)
  const results: BenchResult[] = []
  for (const one of cases) {
    signal?.throwIfAborted()
    const result = await resultOf(subject, one, { scale, layer }, { rounds: rounds ?? one.rounds, signal })
    signal?.throwIfAborted()
    results.push(result)
    onResult?.(result)
  }
  return { ...benchHead(subject, scale), cases: results }
}

interface Effort {
  readonly rounds: number
  readonly signal: AbortSignal | undefined
}

async function resultOf(
  subject: Subject,
  one: BenchCase,
  settings: BenchSettings,
  effort: Effort,
): Promise<BenchResult> {
  const { id, title } = one
  const parameters = one.parameters?.(settings) ?? {}
  const head = { id, title, parameters }
  const lacking = one.lacks?.(settings)
  if (lacking !== undefined) return { ...head, outcome: 'not-run', reason: lacking }
  const samples: number[] = []
  const { outcome, reason = outcome } = await attempt(subject, {
    ...one,
    async run(context: CaseContext) {
      samples.push(...(await measure(await one.prepare(context, settings), effort)))
    },
  })
  if (outcome === 'failed') return { ...head, outcome, reason }
  if (outcome !== 'passed') return { ...head, outcome: 'not-run', reason }
  const measurement = measurementOf(samples)
  return { ...head, outcome: 'measured', ...measurement, ...part(one, parameters, measurement) }
}

/** The first round is not counted: it warms caches up, of the kernel and of the program. */
async function measure(measured: Measured, { rounds, signal }: Effort): Promise<readonly number[]> {
  const samples: number[] = []
  for (let index = 0; index <= rounds; index++) {
    let nanoseconds = 0n
    await measured({
      index,
      async time(timed) {
        signal?.throwIfAborted()
        const start = process.hrtime.bigint()
        const result = await timed()
        nanoseconds += process.hrtime.bigint() - start
        return result
      },
    })
    if (index > 0) samples.push(Number(nanoseconds) / 1e6)
  }
  return samples
}

function part(
  { each }: BenchCase,
  parameters: BenchResult['parameters'],
  { median }: Pick<Measurements, 'median'>,
): Pick<Measurements, 'each'> {
  const count = each === undefined ? undefined : parameters[each]
  return each === undefined || typeof count !== 'number'
    ? {}
    : { each: { of: each, count, median: median / count } }
}
