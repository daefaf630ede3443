/** The report as a table for people, in Markdown: a row per driver, a column per filesystem. */
import type { Capabilities } from '../capabilities.ts'
import { type Report, type Run, tally } from './report.ts'

/** How many of the cases that apply and could run came out as they should. */
function cell(run: Run | undefined): string {
  if (run === undefined) return '—'
  const { passed, failed, deviates } = tally(run.cases)
  const ran = passed + failed + deviates
  if (ran === 0) return 'cannot run'
  return `${passed} of ${ran}`
}

function distinct(texts: readonly string[]): string {
  return [...new Set(texts)].join(', ')
}

const columns: readonly (readonly [title: string, text: (capabilities: Capabilities) => string])[] = [
  ['shares', ({ sharing }) => sharing],
  ['diff', ({ diff }) => (diff.native ? 'native' : 'compares trees')],
  ['depth', ({ maxDepth }) => (Number.isFinite(maxDepth) ? String(maxDepth) : 'any')],
  ['quota', ({ quota }) => quota],
]

function row(driver: string, filesystems: readonly string[], runs: readonly Run[]): readonly string[] {
  const known = runs.flatMap(({ capabilities }) => (capabilities === undefined ? [] : [capabilities]))
  return [
    `\`${driver}\``,
    ...filesystems.map((name) => cell(runs.find(({ filesystem }) => filesystem === name))),
    ...columns.map(([, text]) => distinct(known.map(text))),
  ]
}

/** What did not simply pass, with the reasons, each said once for all filesystems it is true of. */
function notes(driver: string, runs: readonly Run[]): readonly string[] {
  const said = new Map<string, { readonly cases: Set<string>; readonly filesystems: Set<string> }>()
  for (const { filesystem, cases } of runs) {
    for (const { id, outcome, reason = '' } of cases) {
      if (outcome === 'passed') continue
      const key = `${outcome.replace('-', ' ')}: ${reason.split('\n')[0] ?? ''}`
      const entry = said.get(key) ?? { cases: new Set(), filesystems: new Set() }
      entry.cases.add(id)
      entry.filesystems.add(filesystem)
      said.set(key, entry)
    }
  }
  return [...said].map(([key, { cases, filesystems }]) => {
    const where = filesystems.size === runs.length ? '' : ` on ${[...filesystems].join(', ')}`
    const what = cases.size === 1 ? `\`${[...cases].join('')}\`` : `${cases.size} cases`
    return `- \`${driver}\`${where}, ${what} ${key}`
  })
}

/** Lines of Markdown, without a heading. */
export function driverTable({ runs }: Report): string {
  const filesystems = [...new Set(runs.map(({ filesystem }) => filesystem))]
  const drivers = [...Map.groupBy(runs, ({ driver }) => driver)]
  const heading = ['driver', ...filesystems, ...columns.map(([title]) => title)]
  const rows = drivers.map(([driver, own]) => row(driver, filesystems, own))
  const table = [heading, heading.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`)
  const remarks = drivers.flatMap(([driver, own]) => notes(driver, own))
  return [...table, ...(remarks.length === 0 ? [] : ['', ...remarks])].join('\n')
}
