/**
 * `npm run bench`: this project beside its peers. It prints as it goes, and judges by ratios.
 *
 * - `--work ID` only this work, may be repeated; `--list` tells which there are
 * - `--rounds N`, `--only NAME` of contenders, `--scale small|full`, `--storage disk|memory`
 * - `--output FILE` writes the report as JSON; `--document` writes docs/performance.{json,md,svg}; with `--work`
 *   only that work is new in them
 * - `--check FILE` fails where a ratio is worse than the report in FILE allows; see check.ts
 */
import { existsSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { chartOf } from './chart.ts'
import { worsened } from './check.ts'
import { documentOf, number } from './document.ts'
import {
  joined,
  jsonOf,
  machine,
  peerVersions,
  readReport,
  type Report,
  reportFormat,
  type Verdict,
  verdictsOf,
} from './report.ts'
import { runWork } from './run.ts'
import type { Setting, Work } from './work.ts'
import { works as all } from './works/index.ts'

const { values } = parseArgs({
  options: {
    work: { type: 'string', multiple: true },
    list: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    only: { type: 'string' },
    scale: { type: 'string', default: 'full' },
    storage: { type: 'string', default: 'disk' },
    output: { type: 'string' },
    document: { type: 'boolean', default: false },
    check: { type: 'string' },
  },
})

const setting: Setting = {
  scale: oneOf('scale', values.scale, ['small', 'full']),
  storage: oneOf('storage', values.storage, ['disk', 'memory']),
}
const unknown = values.work?.find((id) => !all.some((work) => work.id === id))
if (unknown !== undefined) throw new Error(`no work '${unknown}'; --list tells which there are`)
const works = all.filter(
  ({ id, scales }) =>
    (values.work?.includes(id) ?? true) && (scales === undefined || scales.includes(setting.scale)),
)

if (values.list) for (const { id, title } of works) console.log(`${id}: ${title}`)
else await measure()

async function measure(): Promise<void> {
  const report: Report = {
    format: reportFormat,
    date: new Date().toISOString(),
    machine: machine(),
    setting,
    peers: await peerVersions(),
    works: await measured(works),
  }
  const json = jsonOf(report)
  if (values.output !== undefined) writeFileSync(values.output, json)
  if (values.document) writeDocuments(report)
  if (values.check !== undefined) process.exitCode = await check(report, readReport(values.check))
}

async function measured(chosen: readonly Work[]): Promise<Report['works']> {
  const found: Report['works'][number][] = []
  for (const work of chosen) {
    console.log(`\n${work.id}: ${work.title}`)
    const result = await runWork(work, {
      setting,
      rounds: values.rounds === undefined ? undefined : positive(values.rounds),
      only: values.only,
      onProgress: (line) => console.log(`  ${line}`),
    })
    const verdicts = verdictsOf(work, result)
    for (const verdict of verdicts) console.log(`  ${textOf(verdict)}`)
    found.push({ ...result, date: new Date().toISOString(), verdicts })
  }
  return found
}

function textOf({ goal, of, to, found, reached }: Verdict): string {
  const subject = `${goal.metric} (${goal.statistic}) of ${of}${to === undefined ? '' : ` ÷ ${to}`}`
  const value = found === undefined ? 'not measured' : `${number(found)}, goal ${number(goal.atMost)}`
  return `${reached === undefined ? '·' : reached ? '✓' : '✗'} ${subject}: ${value}`
}

/** What seems to be worse is measured once more: something else may have been going on. @returns the exit code */
async function check(report: Report, before: Report): Promise<number> {
  const suspects = new Set(worsened(report, before).map(({ id }) => id))
  const again = { works: await measured(works.filter(({ id }) => suspects.has(id))) }
  const worse = worsened(again, before)
  for (const { id, what } of worse) console.error(`${id}: ${what}`)
  if (worse.length > 0) return 1
  console.log('\nno ratio is worse than it may be')
  return 0
}

/** What was not measured this time stays as it was. */
function writeDocuments(measured: Report): void {
  const docs = path.join(import.meta.dirname, '../../../docs')
  const file = path.join(docs, 'performance.json')
  const report = values.work !== undefined && existsSync(file) ? joined(measured, readReport(file)) : measured
  writeFileSync(file, jsonOf(report))
  writeFileSync(path.join(docs, 'performance.md'), documentOf(report))
  writeFileSync(path.join(docs, 'performance.svg'), chartOf(report))
}

function oneOf<Word extends string>(option: string, value: string, words: readonly Word[]): Word {
  const word = words.find((one) => one === value)
  if (word === undefined) throw new Error(`--${option} '${value}' is none of ${words.join(', ')}`)
  return word
}

function positive(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`'${text}' is no whole number above 0`)
  return value
}
