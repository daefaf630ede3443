/**
 * The suite on a real pool, in a guest: no kernel of a test machine has ZFS. Each command of zfs(8) takes a tenth of a second
 * there, and all of the suite most of an hour, so it runs when it is asked for: `GRAPHDRIVER_GUESTS=lifecycle,mount` for some
 * areas, `all` for every one. Until that is quicker, the package is private.
 */
import { fileURLToPath } from 'node:url'
import { areas } from '@graphdriver/core/conformance'
import { guestRequirements, isGuestBuilt, need, runInGuest } from '@tooling/lab'
import { describe, expect, test } from 'vitest'

const unbuilt = (await isGuestBuilt()) ? undefined : 'the kernel of the guests is not built (tooling/lab)'
const wanted = (process.env['GRAPHDRIVER_GUESTS'] ?? '').split(',').filter((area) => area !== '')
const asked = (area: string): boolean => wanted.includes('all') || wanted.includes(area)
const unasked = wanted.length > 0 ? undefined : 'slow, so only with GRAPHDRIVER_GUESTS=all or a list of areas'
const missing = need(...guestRequirements) ?? unbuilt ?? unasked
const script = fileURLToPath(new URL('guest-lab.ts', import.meta.url))

interface Report {
  readonly runs: readonly {
    readonly cases: readonly { readonly id: string; readonly outcome: string }[]
  }[]
}

describe.skipIf(missing !== undefined)(`zfs on a pool of a disk (${missing ?? 'in a guest'})`, () => {
  test.each(areas.filter((area) => area !== 'differential' && (unasked !== undefined || asked(area))))(
    '%s',
    async (area) => {
      const { stdout, stderr } = await runInGuest({
        command: [process.execPath, script, '/dev/ubdb', `${area}/`],
        disks: [{ sizeMiB: 4096 }],
        seconds: 1800,
      })
      const { runs } = JSON.parse(stdout === '' ? '{"runs":[]}' : stdout) as Report
      const cases = runs.flatMap((run) => run.cases)
      const failed = cases.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id)
      if (failed.length > 0) throw new Error(`${failed.join(', ')}:\n${stderr}`)
      expect(cases.filter(({ outcome }) => outcome === 'passed').length).toBeGreaterThan(0)
    },
    1_800_000,
  )
})
