import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import type { Capabilities } from '../../src/index.ts'
import {
  addToReport,
  driverTable,
  mergeReports,
  readReport,
  type ReportedCase,
  type Run,
  tally,
  temporaryDirectory,
} from '../../src/conformance/index.ts'

const capabilities: Capabilities = {
  sharing: 'none',
  diff: { native: true },
  copyUp: 'none',
  maxDepth: Number.POSITIVE_INFINITY,
  timestamps: 'nanoseconds',
  names: 'bytes',
  hardLinks: true,
  xattrs: 'all',
  deviceNodes: true,
  ownership: 'any',
  quota: 'none',
  inodeQuota: false,
  mappedOwners: false,
  mountLabel: false,
}

function reported(outcome: ReportedCase['outcome'], id: string, reason?: string): ReportedCase {
  return { id, title: id, outcome, reason, milliseconds: 1 }
}

function run(driver: string, filesystem: string, ...cases: readonly ReportedCase[]): Run {
  return { driver, filesystem, kernel: 'linux 6.18', capabilities, cases }
}

test('a report is written and read again, a depth without limit included', async () => {
  await using directory = await temporaryDirectory()
  const file = path.join(directory.path, 'not/yet/conformance.json')
  addToReport(file, run('vfs', 'ext4', reported('passed', 'mount/one')))
  const [found] = readReport(file).runs
  expect(found?.capabilities?.maxDepth).toBe(Number.POSITIVE_INFINITY)
  expect(found?.cases).toEqual([{ id: 'mount/one', title: 'mount/one', outcome: 'passed', milliseconds: 1 }])
  expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ format: 1 })
})

test('a later run of the same driver on the same filesystem takes the place of the earlier', async () => {
  await using directory = await temporaryDirectory()
  const file = path.join(directory.path, 'conformance.json')
  addToReport(file, run('vfs', 'ext4', reported('failed', 'mount/one', 'why')), run('vfs', 'xfs'))
  addToReport(file, run('vfs', 'ext4', reported('passed', 'mount/one')))
  const { runs } = readReport(file)
  expect(runs.map(({ driver, filesystem, cases }) => [driver, filesystem, tally(cases).passed])).toEqual([
    ['vfs', 'ext4', 1],
    ['vfs', 'xfs', 0],
  ])
})

test('a file that is no report is named', async () => {
  await using directory = await temporaryDirectory()
  mkdirSync(path.join(directory.path, 'x'))
  const file = path.join(directory.path, 'x/other.json')
  writeFileSync(file, '{"format":99,"runs":[]}')
  expect(() => readReport(file)).toThrow(`${file} is no conformance report of format 1`)
})

test('the table has a row per driver, a column per filesystem, and says what did not simply pass', () => {
  const ext4 = run(
    'vfs',
    'ext4',
    reported('passed', 'mount/one'),
    reported('passed', 'mount/two'),
    reported('not-applicable', 'quota/one', 'no quota here'),
    reported('not-applicable', 'quota/two', 'no quota here'),
  )
  const xfs = run(
    'vfs',
    'xfs',
    reported('failed', 'mount/one', 'it broke\nwith details'),
    reported('deviates', 'mount/two', 'known'),
    reported('not-applicable', 'quota/one', 'no quota here'),
    reported('not-applicable', 'quota/two', 'no quota here'),
  )
  const tmpfs = run('fuse', 'tmpfs', reported('cannot-run', 'mount/one', 'needs root'))
  const report = mergeReports({ format: 1, runs: [ext4, xfs, tmpfs] })
  expect(driverTable(report).split('\n')).toEqual([
    '| driver | ext4 | xfs | tmpfs | shares | diff | depth | quota |',
    '| --- | --- | --- | --- | --- | --- | --- | --- |',
    '| `vfs` | 2 of 2 | 0 of 2 | — | none | native | any | none |',
    '| `fuse` | — | — | cannot run | none | native | any | none |',
    '',
    '- `vfs`, 2 cases not applicable: no quota here',
    '- `vfs` on xfs, `mount/one` failed: it broke',
    '- `vfs` on xfs, `mount/two` deviates: known',
    '- `fuse`, `mount/one` cannot run: needs root',
  ])
})
