/**
 * Runs a part of the conformance suite in Wine, `main.ts PART PARTS`: each line that it prints is the result of a case, as
 * the lab's programs in guests tell theirs.
 */
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import {
  CannotRun,
  examine,
  type Lab,
  reportFormat,
  reportText,
  RunRecord,
  subjectOf,
} from '@graphdriver/core/conformance'
import { deviations, suiteCases } from './cases.ts'
import { removeTree } from './mirror.ts'
import { windowsTrees } from './trees.ts'

const [part = '0', parts = '1', only = ''] = process.argv.slice(2)
const base = 'C:\\suite'
let count = 0

const lab: Lab = {
  name: 'double',
  place() {
    const number = `${process.pid}-${count++}`
    const directory = path.join(base, number)
    process.env['LAYER_DOUBLE'] = path.join(base, `double-${number}`)
    mkdirSync(directory, { recursive: true })
    return Promise.resolve({
      path: directory,
      [Symbol.asyncDispose]: async () => removeTree(directory),
    })
  },
  volume: ({ kind }) => Promise.reject(new CannotRun(`Wine has no ${kind} filesystem`)),
  [Symbol.asyncDispose]: () => Promise.resolve(),
}

const subject = subjectOf(windowsTrees, { lab, name: 'windows (hcs)', deviations })
const mine = suiteCases.filter((_, index) => index % Number(parts) === Number(part))
await examine(subject, {
  cases: mine.filter(({ id }) => only.split(',').some((prefix) => id.startsWith(prefix))),
  // For what hangs: others may work on this machine too.
  timeout: 600_000,
  onResult(result) {
    const record = new RunRecord(subject)
    record.add(result)
    const report = reportText({ format: reportFormat, runs: [record.run()] })
    const error = result.error instanceof Error ? result.error.stack : undefined
    process.stdout.write(`${JSON.stringify({ report, error })}\n`)
  },
})
process.exit(0)
