/** Some of many, chosen by a text: the same text chooses the same ones. */
import { createHash } from 'node:crypto'

export interface Numbered<T> {
  readonly number: number
  readonly point: T
}

/** @returns so many of them, or all, in their order; those with certain numbers, where these are given */
export function numberedSample<T>(
  points: readonly T[],
  size: number,
  seed: string,
  numbers?: readonly number[],
): readonly Numbered<T>[] {
  const numbered = points.map((point, number) => ({ point, number }))
  if (numbers !== undefined) return numbered.filter(({ number }) => numbers.includes(number))
  if (size >= points.length) return numbered
  const weight = ({ number }: Numbered<T>): string =>
    createHash('sha256').update(`${seed} ${number}`).digest('hex')
  return numbered
    .map((one) => [weight(one), one] as const)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .slice(0, size)
    .map(([, one]) => one)
    .toSorted((a, b) => a.number - b.number)
}
