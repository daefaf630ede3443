/**
 * A benchmark: something a driver is asked to do, and the code that does it over and over. Benchmarks are data, as
 * conformance cases are. They say how long it took and judge nothing: numbers mean something beside other numbers
 * of the same run.
 */
import type { ConformanceCase } from '../conformance/case.ts'
import type { CaseContext } from '../conformance/context.ts'

/** `quick` makes a thousand into a hundred where layers are counted; `full` adds what takes minutes. */
export type Scale = 'quick' | 'standard' | 'full'

export const scales: readonly Scale[] = ['quick', 'standard', 'full']

export interface BenchSettings {
  readonly scale: Scale
  /** A layer tar of real life, plain or gzip. */
  readonly layer: string | undefined
}

/** What a case was run with, for the report. */
export type Parameters = Readonly<Record<string, number | string>>

export interface BenchCase extends Pick<ConformanceCase, 'needs' | 'requires'> {
  /** It never changes: reports are compared by it. */
  readonly id: string
  /** What is timed, and what is not. */
  readonly title: string
  /** How often it is done, unless the caller says so; the warm-up comes on top. */
  readonly rounds: number
  readonly parameters?: (settings: BenchSettings) => Parameters
  /** The parameter that counts equal parts of a round, so that one of them can be given too. */
  readonly each?: string
  /** Why it is left out with these settings; undefined when it is not. */
  readonly lacks?: (settings: BenchSettings) => string | undefined
  /** Makes what all rounds share. Nothing of it is timed. */
  readonly prepare: (context: CaseContext, settings: BenchSettings) => Promise<Measured>
}

/** Does it once, and leaves things as they were. Only what goes through `round.time` is timed. */
export type Measured = (round: Round) => Promise<void>

export interface Round {
  /** Another number in each round, the warm-up included. */
  readonly index: number
  /** Times a part; several parts of one round add up. */
  readonly time: <T>(part: () => Promise<T>) => Promise<T>
}
