/**
 * `npm run bench`: this project beside its peers. It prints as it goes, and judges by ratios.
 *
 * - `--work ID` only this work, may be repeated; `--list` tells which there are
 * - `--rounds N`, `--only NAME` of contenders, `--scale small|full`, `--storage disk|memory`
 * - `--output FILE` writes the report as JSON; `--document` writes docs/performance.{json,md,svg}
 * - `--check FILE` fails where a ratio is worse than the report in FILE allows; see check.ts
 */
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { chartOf } from './chart.ts'
import { worsened } from './check.ts'
import { documentOf, number } from './document.ts'
import { machine, peerVersions, readReport, type Report, reportFormat, verdictsOf } from './report.ts'
import { runWork } from './run.ts'
import type { Setting } from './work.ts'
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
const works = all.filter(({ id }) => values.work === undefined || values.work.includes(id))

if (values.list) for (const { id, title } of works) console.log(`${id}: ${title}`)
else await measure()

async function measure(): Promise<void> {
  const found: Report['works'][number][] = []
  for (const work of works) {
    console.log(`\n${work.id}: ${work.title}`)
    const result = await runWork(work, {
      setting,
      rounds: values.rounds === undefined ? undefined : positive(values.rounds),
      only: values.only,
      onProgress: (line) => console.log(`  ${line}`),
    })
    const verdicts = verdictsOf(work, result)
    for (const { goal, of, to, found: ratio, reached } of verdicts) {
      const subject = `${goal.metric} (${goal.statistic}) of ${of}${to === undefined ? '' : ` ÷ ${to}`}`
      const value = ratio === undefined ? 'not measured' : `${number(ratio)}, goal ${number(goal.atMost)}`
      console.log(`  ${reached === false ? '✗' : reached === true ? '✓' : '·'} ${subject}: ${value}`)
    }
    found.push({ ...result, verdicts })
  }
  const report: Report = {
    format: reportFormat,
    date: new Date().toISOString(),
    machine: machine(),
    setting,
    peers: await peerVersions(),
    works: found,
  }
  const json = `${JSON.stringify(report, null, 1)}\n`
  if (values.output !== undefined) writeFileSync(values.output, json)
  if (values.document) writeDocuments(report, json)
  if (values.check === undefined) return
  const worse = worsened(report, readReport(values.check))
  for (const line of worse) console.error(line)
  if (worse.length > 0) process.exitCode = 1
  else console.log(`\nno ratio is worse than ${values.check} allows`)
}

function writeDocuments(report: Report, json: string): void {
  const docs = path.join(import.meta.dirname, '../../../docs')
  writeFileSync(path.join(docs, 'performance.json'), json)
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
