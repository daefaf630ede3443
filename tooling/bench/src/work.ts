/**
 * What is measured: a piece of work that several programs can do, so that each number of ours stands beside one of a
 * peer's from the same run. Only ratios travel: times of another machine, or of another hour, mean nothing.
 */

/** Values of one metric from one round, such as one time per operation. */
export type Samples = Readonly<Record<string, readonly number[]>>

export interface Contender {
  /** The same name in all works. Ours begin with `graphdriver`. */
  readonly name: string
  /** Does the work once, from a fresh state to a clean end. Nothing else runs meanwhile. */
  readonly round: () => Promise<Samples>
}

/** A bound for a number of ours. */
export interface Goal {
  readonly metric: string
  readonly statistic: Statistic
  /** Whose number; the first contender of ours by default. */
  readonly of?: string
  /** A contender's name, `best` for the best of the peers; undefined for an absolute bound, in the metric's unit. */
  readonly to?: string
  readonly atMost: number
  /** Peers that are no measure for this one: a floor, which does less than the work. */
  readonly except?: readonly string[]
}

export type Statistic = 'median' | 'p99' | 'max'

/** What all rounds share, and what is taken down after them. */
export interface Prepared extends AsyncDisposable {
  readonly contenders: readonly Contender[]
  /** What the reader has to know of this run: sizes, numbers, what could not take part and why. */
  readonly notes: readonly string[]
}

export interface Work {
  /** It never changes: reports are compared by it. */
  readonly id: string
  readonly title: string
  /** Of each metric; smaller is better in all of them. */
  readonly units: Readonly<Record<string, string>>
  readonly rounds: number
  /** Where it is measured; in all by default. */
  readonly scales?: readonly Setting['scale'][]
  readonly goals: readonly Goal[]
  readonly prepare: (setting: Setting) => Promise<Prepared>
}

export interface Setting {
  /** `small` for a check within minutes: the lab's test image and fewer layers. */
  readonly scale: 'small' | 'full'
  /** Where filesystems are made: on the disk, or in memory, where the disk has no say. */
  readonly storage: 'disk' | 'memory'
}

export const isOurs = (name: string): boolean => name.startsWith('graphdriver')
