/** What was measured and seen of a package, for its README: nothing is written here that a run has not found. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { bytesText, workspaceRoot } from '@tooling/lab'

/** Which works of `npm run bench` are about a package. */
const worksOf: Readonly<Record<string, readonly string[]>> = {
  archive: ['small-files', 'copy-reflink-xfs'],
  btrfs: ['diff-small-change-btrfs'],
  cli: ['cli-start', 'save'],
  image: ['load-tar', 'load-gzip', 'load-zstd'],
  'layer-store': ['load-tar-durable', 'list-10000'],
  overlay2: ['load-tar', 'writable-1', 'writable-16', 'writable-1000', 'diff-small-change', 'remove-large'],
  vfs: ['copy-reflink-btrfs', 'copy-reflink-xfs', 'diff-small-change'],
  zfs: ['diff-small-change-zfs'],
}

interface Verdict {
  readonly goal: { readonly metric: string; readonly statistic: string; readonly atMost: number }
  readonly of: string
  readonly to?: string
  readonly found: number
}

interface Performance {
  readonly date: string
  readonly works: readonly {
    readonly id: string
    readonly title: string
    readonly units: Readonly<Record<string, string>>
    readonly verdicts: readonly Verdict[]
  }[]
}

interface Drivers {
  readonly places: readonly {
    readonly title: string
    readonly compared: readonly {
      readonly driver: string
      readonly containers: {
        readonly count: number
        readonly startMs: number
        readonly bytes: number
        readonly memoryBytes: number
        readonly sharedBytes: number
      }
    }[]
  }[]
}

const read = <T>(name: string): T => JSON.parse(readFileSync(path.join(workspaceRoot, name), 'utf8')) as T

/** @param base the name without its scope. @returns Markdown; empty where nothing was measured of it */
export function figuresOf(base: string, docs: string): string {
  const parts = [suite(base), containers(base, docs), ratios(base, docs)].filter((part) => part !== '')
  return parts.length === 0 ? '' : ['## Figures', ...parts].join('\n\n')
}

/** The driver's rows in the table of the repository's README, which `npm test` compares with what it finds. */
function suite(base: string): string {
  const lines = readFileSync(path.join(workspaceRoot, 'README.md'), 'utf8').split('\n')
  const heads = cellsOf(lines.find((line) => line.startsWith('| driver |')) ?? '')
  const found = lines
    .filter((line) => new RegExp(`^\\| \`${base}(?: [^\`]*)?\` \\|`).test(line))
    .map(cellsOf)
    .map((cells) => {
      const seen = cells.flatMap((cell, at) => (/^\d+ of \d+$/.test(cell) ? [`${cell} on ${heads[at]}`] : []))
      return `${cells[0]}: ${seen.join(', ')}`
    })
  if (found.length === 0) return ''
  return `Cases of the [conformance suite](${suiteLink}) that passed, of those that apply — ${found.join('; ')}.`
}

const suiteLink = 'https://www.npmjs.com/package/@graphdriver/core'

function containers(base: string, docs: string): string {
  const rows = read<Drivers>('docs/drivers.json').places.flatMap(({ title, compared }) =>
    compared
      .filter(({ driver }) => driver === base)
      .map(
        ({ containers: one }) =>
          `| ${title} | ${one.count} | ${one.startMs.toFixed(1)} ms | ${bytesText(one.bytes)} | ${bytesText(one.memoryBytes)} of ${bytesText(one.sharedBytes)} |`,
      ),
  )
  if (rows.length === 0) return ''
  const head =
    '| containers of one image, on | at a time | start (median) | disk of each | memory of each to read one file |'
  return [
    head,
    '| --- | ---: | ---: | ---: | ---: |',
    ...rows,
    '',
    `Beside the other drivers: [Drivers compared](${docs}/drivers.md).`,
  ].join('\n')
}

function ratios(base: string, docs: string): string {
  const { works } = read<Performance>('docs/performance.json')
  const rows = (worksOf[base] ?? []).map((id) => {
    const work = works.find((one) => one.id === id)
    if (work === undefined) throw new Error(`${base}: docs/performance.json has no ${id}`)
    // Of a work that names drivers, what it says of this one.
    const own = work.verdicts.filter(({ of }) => of === `graphdriver (${base})`)
    const verdicts = own.length > 0 ? own : work.verdicts.filter(({ of }) => !of.includes('('))
    const found = verdicts.map(({ goal, of, to, found: value }) => {
      const who =
        of === 'graphdriver' || of === `graphdriver (${base})` ? '' : `${of.replace('graphdriver ', '')}: `
      const when = goal.statistic === 'median' ? '' : ` (${goal.statistic})`
      const what = goal.metric === 'wall' || goal.metric === 'perMiB' ? '' : `${goal.metric} `
      return to === undefined
        ? `${who}${what}${number(value)} ${work.units[goal.metric] ?? ''}${when}`
        : `${who}${what}${number(value)} × ${to}${when}`
    })
    return `| ${work.title} | ${found.join(', ')} |`
  })
  if (rows.length === 0) return ''
  return [
    '| work | found |',
    '| --- | --- |',
    ...rows,
    '',
    `Times are ratios to the peer, in one run and on the same input, below 1 × is faster: [Performance](${docs}/performance.md).`,
  ].join('\n')
}

function cellsOf(line: string): readonly string[] {
  return line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim())
}

function number(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(2)
}
