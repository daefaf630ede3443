import type { Statistic } from './work.ts'

/** @param samples at least one */
export function statisticOf(statistic: Statistic, samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b)
  const rank = (nth: number): number => sorted[Math.min(sorted.length, Math.max(1, nth)) - 1] ?? Number.NaN
  const count = sorted.length
  switch (statistic) {
    case 'median':
      return (rank(Math.ceil(count / 2)) + rank(Math.floor(count / 2) + 1)) / 2
    // The nearest rank: of fewer than a hundred, the largest.
    case 'p99':
      return rank(Math.ceil(0.99 * count))
    case 'max':
      return rank(count)
  }
}
