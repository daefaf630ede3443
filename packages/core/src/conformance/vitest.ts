/**
 * The suite in vitest: one `describe` per area, one `test` per case.
 *
 * ```ts
 * import { conformance } from '@graphdriver/core/conformance/vitest'
 * import driver from '../src/index.ts'
 *
 * conformance(driver, { report: 'conformance.json' })
 * ```
 */
import { afterAll, describe, test } from 'vitest'
import type { DriverDefinition } from '../definition.ts'
import { allCases } from './cases.ts'
import { subjectOf } from './examine.ts'
import { addToReport, byArea, RunRecord } from './report.ts'
import { runCase } from './run.ts'
import type { RunnerOptions } from './runner-options.ts'

/** Registers the whole suite for a driver. Skips say why. */
export function conformance(definition: DriverDefinition, options: RunnerOptions = {}): void {
  const subject = subjectOf(definition, options)
  const record = new RunRecord(subject)
  describe(`${subject.name} on ${subject.lab.name}`, () => {
    for (const [area, cases] of byArea(options.cases ?? allCases)) {
      describe(area, () => {
        for (const one of cases) {
          test(one.title, { timeout: options.timeout ?? 120_000 }, async ({ skip }) => {
            const result = await runCase(subject, one)
            record.add(result)
            if (result.outcome === 'failed') throw result.error
            skip(result.outcome !== 'passed', `${result.outcome}: ${result.reason ?? ''}`)
          })
        }
      })
    }
    afterAll(async () => {
      await subject.lab[Symbol.asyncDispose]()
      if (options.report !== undefined) addToReport(options.report, record.run())
    })
  })
}
