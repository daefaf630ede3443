/** The suite in a guest, in vitest: a test per case, as if it ran here. */
import { addToReport, byArea } from '@graphdriver/core/conformance'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { missingGuest } from './guest.ts'
import { type GuestExamination, GuestResults } from './results.ts'

export interface GuestConformance extends Omit<GuestExamination, 'waits'> {
  /** Of the driver, and what it is on. */
  readonly title: string
  /** File to which the results are added, as `conformance.json` is written. */
  readonly report?: string | undefined
}

/**
 * Registers the suite for a driver in a guest. All guests of a file start together, as far as there is room for them; each
 * test ends when the guest has told of its case. Where there can be no guests, all are skipped, with the reason.
 */
export async function guestConformance(options: GuestConformance): Promise<void> {
  const { title, cases, report } = options
  const missing = await missingGuest()
  const results = new GuestResults(cases)
  const seconds = options.seconds ?? 3000
  if (missing === undefined) beforeAll(() => void results.follow({ ...options, seconds, waits: true }))
  describe.skipIf(missing !== undefined)(`${title} (${missing ?? 'in a guest'})`, () => {
    for (const [area, own] of byArea(cases)) {
      describe(area, () => {
        for (const { id, title: sentence } of own) {
          // Guests may have to wait for each other.
          test(sentence, { timeout: 2 * seconds * 1000 }, async ({ skip }) => {
            const { result, error } = await results.of(id)
            const { outcome, reason = '' } = result
            if (outcome === 'failed') throw new Error(error ?? reason)
            skip(outcome !== 'passed', `${outcome}: ${reason}`)
          })
        }
      })
    }
    afterAll(async () => {
      const run = await results.run()
      if (report !== undefined && run !== undefined) addToReport(report, run)
    })
  })
}
