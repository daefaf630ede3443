/** What a list of samples says. */
export interface Measurement {
  readonly unit: 'milliseconds'
  readonly rounds: number
  readonly median: number
  /** The nearest rank: with fewer than a hundred rounds, the longest of them. */
  readonly p99: number
  readonly min: number
  /** One for each round, in their order. */
  readonly samples: readonly number[]
}

export function measurementOf(samples: readonly number[]): Measurement {
  const sorted = samples.toSorted((a, b) => a - b)
  const rank = (nth: number): number => sorted[nth - 1] ?? Number.NaN
  const rounds = sorted.length
  return {
    unit: 'milliseconds',
    rounds,
    median: (rank(Math.ceil(rounds / 2)) + rank(Math.floor(rounds / 2) + 1)) / 2,
    p99: rank(Math.ceil(0.99 * rounds)),
    min: rank(1),
    samples,
  }
}
