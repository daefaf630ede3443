/**
 * The suite in Node's own test runner.
 *
 * ```ts
 * import { conformance } from '@graphdriver/core/conformance/node-test'
 * import driver from './index.js'
 *
 * conformance(driver, { module: import.meta.resolve('./index.js'), report: 'conformance.json' })
 * ```
 */
import { after, describe, test } from 'node:test'
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
  void describe(`${subject.name} on ${subject.lab.name}`, () => {
    for (const [area, cases] of byArea(options.cases ?? allCases)) {
      void describe(area, () => {
        for (const one of cases) {
          void test(one.title, { timeout: options.timeout ?? 120_000 }, async (context) => {
            const result = await runCase(subject, one)
            record.add(result)
            if (result.outcome === 'failed') throw result.error
            if (result.outcome !== 'passed') context.skip(`${result.outcome}: ${result.reason ?? ''}`)
          })
        }
      })
    }
    after(async () => {
      await subject.lab[Symbol.asyncDispose]()
      if (options.report !== undefined) addToReport(options.report, record.run())
    })
  })
}
