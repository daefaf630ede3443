/** What a run found, as a document: what travels is the ratios. */
import { readFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { execa } from 'execa'
import type { WorkResult } from './run.ts'
import { statisticOf } from './statistics.ts'
import { type Goal, isOurs, type Setting, type Work } from './work.ts'

/** Raised when readers of the document would have to change. */
export const reportFormat = 1

export interface Report {
  readonly format: typeof reportFormat
  readonly date: string
  readonly machine: Machine
  readonly setting: Setting
  readonly peers: Readonly<Record<string, string>>
  readonly works: readonly ReportedWork[]
}

export interface ReportedWork extends WorkResult {
  /** When it was measured. */
  readonly date: string
  readonly verdicts: readonly Verdict[]
}

export interface Machine {
  readonly cpu: string
  readonly memoryGiB: number
  readonly kernel: string
  readonly node: string
}

/** What became of a goal. */
export interface Verdict {
  readonly goal: Goal
  /** Whose number, and against whose; the last is absent for an absolute bound. */
  readonly of: string
  readonly to?: string | undefined
  /** The ratio, or the number in its unit; undefined where one of them did not take part. */
  readonly found: number | undefined
  readonly reached: boolean | undefined
}

export function verdictsOf(work: Pick<Work, 'goals'>, { contenders }: WorkResult): readonly Verdict[] {
  return work.goals.map((goal) => {
    const { metric, statistic, atMost, to, except = [] } = goal
    const value = (name: string): number | undefined => {
      const samples = contenders.find((one) => one.name === name)?.samples[metric]
      return samples === undefined || samples.length === 0 ? undefined : statisticOf(statistic, samples)
    }
    const of = goal.of ?? 'graphdriver'
    const own = value(of)
    if (to === undefined)
      return { goal, of, found: own, reached: own === undefined ? undefined : own <= atMost }
    const rivals =
      to === 'best'
        ? contenders.map(({ name }) => name).filter((name) => !isOurs(name) && !except.includes(name))
        : [to]
    const best = rivals
      .flatMap((name) => {
        const theirs = value(name)
        return theirs === undefined ? [] : [{ name, theirs }]
      })
      .toSorted((a, b) => a.theirs - b.theirs)[0]
    const found = own === undefined || best === undefined ? undefined : own / best.theirs
    return {
      goal,
      of,
      to: best?.name ?? to,
      found,
      reached: found === undefined ? undefined : found <= atMost,
    }
  })
}

export function machine(): Machine {
  const processors = cpus()
  return {
    cpu: `${processors.length} × ${processors[0]?.model.trim() ?? 'unknown'}`,
    memoryGiB: Math.round(totalmem() / 1024 ** 3),
    kernel: release(),
    node: process.version,
  }
}

const programs: Readonly<Record<string, readonly [string, ...string[]]>> = {
  dockerd: ['dockerd', '--version'],
  containerd: ['containerd', '--version'],
  'containers/storage': ['skopeo', '--version'],
  umoci: ['umoci', '--version'],
  tar: ['tar', '--version'],
  bsdtar: ['bsdtar', '--version'],
  cp: ['cp', '--version'],
  unpigz: ['unpigz', '--version'],
}

/** By what they say of themselves; those that are not here are left out. */
export async function peerVersions(): Promise<Readonly<Record<string, string>>> {
  const versions: Record<string, string> = {}
  for (const [name, [program, ...args]] of Object.entries(programs)) {
    const { stdout, stderr, failed } = await execa(program, args, { reject: false })
    if (!failed) versions[name] = (stdout === '' ? stderr : stdout).split('\n')[0] ?? ''
  }
  return versions
}

/** With the works of an earlier report, in their order, where they were not measured again. */
export function joined(report: Report, before: Report): Report {
  const works = before.works.map((work) => report.works.find(({ id }) => id === work.id) ?? work)
  const further = report.works.filter(({ id }) => !before.works.some((work) => work.id === id))
  return { ...report, works: [...works, ...further] }
}

/** A line for each work; numbers with the digits that they deserve. */
export function jsonOf({ works, ...head }: Report): string {
  const short = (_key: string, value: unknown): unknown =>
    typeof value === 'number' ? Number(value.toPrecision(5)) : value
  const lines = works.map((work) => JSON.stringify(work, short)).join(',\n')
  return `${JSON.stringify(head).slice(0, -1)},"works":[\n${lines}\n]}\n`
}

export function readReport(file: string): Report {
  const report: unknown = JSON.parse(readFileSync(file, 'utf8'))
  if (
    typeof report !== 'object' ||
    report === null ||
    !('format' in report) ||
    report.format !== reportFormat
  )
    throw new Error(`${file} is no report of benchmarks of format ${reportFormat}`)
  return report as Report
}
