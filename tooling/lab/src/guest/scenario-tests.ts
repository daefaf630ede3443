/** Scenarios in guests, in vitest: a guest and a test for each. */
import { describe, expect, test } from 'vitest'
import { killRequirement } from '../killed-at-call.ts'
import type { Requirement } from '../requirement.ts'
import { type GuestRequest, missingGuest, runInGuest } from './guest.ts'

export interface GuestScenarios extends Pick<GuestRequest, 'disks'> {
  readonly title: string
  /** It calls `runScenario`. */
  readonly program: URL
  /** Beside what guests need, and what kills at a call. */
  readonly requires?: readonly Requirement[] | undefined
  readonly scenarios: readonly (readonly [sentence: string, name: string])[]
}

export async function guestScenarios(options: GuestScenarios): Promise<void> {
  const { title, program, requires = [], scenarios, disks } = options
  const missing = await missingGuest(killRequirement, ...requires)
  const skipped = missing !== undefined
  describe.skipIf(skipped)(`${title} (${missing ?? 'in a guest'})`, { timeout: 1_800_000 }, () => {
    test.each(scenarios)('%s', async (_, scenario) => {
      const { exitCode, stdout, stderr } = await runInGuest({
        command: [process.execPath, program.pathname, scenario],
        disks,
        // Beside a suite in a guest, both would be half as fast.
        waits: true,
        seconds: 1200,
      })
      expect({ exitCode, stdout, stderr }).toEqual({ exitCode: 0, stdout, stderr })
    })
  })
}
