/**
 * `node driver-table.ts [--check]`: puts the reports that the tests of all drivers wrote together as `conformance.json` in
 * the repository's root, and writes the driver table in the README from it; with `--check` it only says whether the README
 * has the table of this run.
 */
import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import {
  driverTable,
  mergeReports,
  readReport,
  type Report,
  type Run,
  writeReport,
} from '@graphdriver/core/conformance'

const root = path.resolve(import.meta.dirname, '../../..')
const readme = path.join(root, 'README.md')
const marks = ['<!-- driver table: npm run table writes it -->', '<!-- end of driver table -->'] as const

function withTable(text: string, table: string): string {
  const [start, end] = [text.indexOf(marks[0]), text.indexOf(marks[1])]
  if (start < 0 || end < start)
    throw new Error(`${readme} has no place for the driver table: ${marks.join(' … ')}`)
  return `${text.slice(0, start + marks[0].length)}\n\n${table}\n\n${text.slice(end)}`
}

/** Where the tests of a driver write what the suite found. */
function reportOf(test: string): string {
  return path.join(root, path.dirname(test), '../.turbo/conformance.json')
}

/** Of the layer API of Windows, under Wine. */
function isDouble({ filesystem }: Run): boolean {
  return filesystem === 'double'
}

/** On a host that lacks something the run says less than the README, which is no mistake of the README's. */
function lacksSomething({ runs }: Report): boolean {
  return runs.some(
    (run) =>
      // Wine has less wherever it runs.
      !isDouble(run) &&
      run.cases.some(
        ({ outcome, reason }) => outcome === 'cannot-run' && reason?.startsWith('needs ') === true,
      ),
  )
}

const { values } = parseArgs({ options: { check: { type: 'boolean' } } })
const reports = globSync('packages/drivers/*/test/conformance.test.ts', { cwd: root })
  .toSorted()
  .map(reportOf)
/** Where there are no guests, there are drivers of which nothing is found. */
const found = reports.filter((file) => existsSync(file))
const { format, runs } = mergeReports(...found.map(readReport))
/** What is no filesystem comes last. */
const report: Report = { format, runs: runs.toSorted((a, b) => Number(isDouble(a)) - Number(isDouble(b))) }
writeReport(path.join(root, 'conformance.json'), report)
const before = readFileSync(readme, 'utf8')
const after = withTable(before, driverTable(report))
if (values.check !== true) writeFileSync(readme, after)
else if (found.length < reports.length || lacksSomething(report))
  console.error('driver table: this host lacks something that cases need; not compared')
else if (before !== after) {
  console.error(
    `README.md does not have the driver table of this run; npm run table writes it:\n${driverTable(report)}`,
  )
  process.exitCode = 1
}
