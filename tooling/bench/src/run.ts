/** Runs works: the contenders take turns within each round, so that what else the machine does hits all of them. */
import type { Samples, Setting, Work } from './work.ts'

export interface ContenderResult {
  readonly name: string
  /** All samples of each metric, round after round. */
  readonly samples: Readonly<Record<string, readonly number[]>>
}

export interface WorkResult {
  readonly id: string
  readonly title: string
  readonly units: Work['units']
  readonly rounds: number
  readonly notes: readonly string[]
  readonly contenders: readonly ContenderResult[]
}

export interface RunOptions {
  readonly setting: Setting
  /** Instead of each work's own number. */
  readonly rounds?: number | undefined
  /** Only contenders whose names contain this. */
  readonly only?: string | undefined
  readonly onProgress?: ((line: string) => void) | undefined
}

export async function runWork(work: Work, options: RunOptions): Promise<WorkResult> {
  const { setting, only, onProgress } = options
  const rounds = options.rounds ?? work.rounds
  await using prepared = await work.prepare(setting)
  const contenders = prepared.contenders.filter(({ name }) => only === undefined || name.includes(only))
  const samples = new Map(contenders.map(({ name }): [string, Record<string, number[]>] => [name, {}]))
  for (let round = 0; round < rounds; round++) {
    // Who is first in one round is last in the next.
    const first = round % contenders.length
    for (const { name, round: run } of [...contenders.slice(first), ...contenders.slice(0, first)]) {
      const found: Samples = await run()
      const own = samples.get(name) ?? {}
      for (const [metric, values] of Object.entries(found)) (own[metric] ??= []).push(...values)
      onProgress?.(`${work.id}, round ${round + 1} of ${rounds}: ${name} ${textOf(found, work.units)}`)
    }
  }
  return {
    id: work.id,
    title: work.title,
    units: work.units,
    rounds,
    notes: prepared.notes,
    contenders: contenders.map(({ name }) => ({ name, samples: samples.get(name) ?? {} })),
  }
}

function textOf(samples: Samples, units: Work['units']): string {
  return Object.entries(samples)
    .map(([metric, values]) => {
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length
      return `${metric} ${mean.toPrecision(4)} ${units[metric] ?? ''}`
    })
    .join(', ')
}
