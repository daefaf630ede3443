/** The suite in a guest, in vitest: a test per case, as if it ran here. */
import { addToReport, byArea } from '@graphdriver/core/conformance'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { missingGuest } from './guest.ts'
import { type GuestExamination, GuestResults, inGuest, type StartProgram } from './results.ts'

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
export async function guestConformance({
  title,
  cases,
  report,
  ...request
}: GuestConformance): Promise<void> {
  const seconds = request.seconds ?? 3000
  toldConformance({
    title,
    cases,
    report,
    missing: await missingGuest(),
    where: 'in a guest',
    // Guests may have to wait for each other.
    seconds: 2 * seconds,
    start: inGuest({ ...request, seconds, waits: true }),
  })
}

export interface ToldConformance extends Pick<GuestConformance, 'title' | 'cases' | 'report'> {
  /** Why it cannot run here, if it cannot. */
  readonly missing: string | undefined
  readonly where: string
  /** That a test waits at most. */
  readonly seconds: number
  readonly start: StartProgram
}

/** Registers a suite of which a program elsewhere tells the results. */
export function toldConformance(options: ToldConformance): void {
  const { title, cases, report, missing, where, seconds, start } = options
  const results = new GuestResults(cases)
  if (missing === undefined) beforeAll(() => void results.follow(start))
  describe.skipIf(missing !== undefined)(`${title} (${missing ?? where})`, () => {
    for (const [area, own] of byArea(cases)) {
      describe(area, () => {
        for (const { id, title: sentence } of own) {
          test(sentence, { timeout: seconds * 1000 }, async ({ skip }) => {
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
