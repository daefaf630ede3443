/** Pools that fill and fail, layers that are held, and processes that are killed: on real ZFS, in a guest. */
import { fileURLToPath } from 'node:url'
import { guestRequirements, isGuestBuilt, killRequirement, need, runInGuest } from '@tooling/lab'
import { describe, expect, test } from 'vitest'

const unbuilt = (await isGuestBuilt()) ? undefined : 'the kernel of the guests is not built'
const missing = need(...guestRequirements, killRequirement) ?? unbuilt
const program = fileURLToPath(new URL('guest/scenarios.ts', import.meta.url))

describe.skipIf(missing !== undefined)(`zfs (${missing ?? 'in a guest'})`, { timeout: 1_800_000 }, () => {
  test.each([
    ['has Docker’s datasets', 'docker-layout'],
    ['says that a pool is full, loses nothing, and has room again after a removal', 'full'],
    ['says that a pool is suspended, and has everything when its disk is back', 'suspended'],
    ['says who holds what is removed, and deletes it when nobody does any more', 'busy'],
    ['has lost nothing and kept nothing when a process is killed before any of its calls', 'killed'],
    ['finds changes without looking at what is as it was', 'native-diff'],
  ])('%s', async (_, scenario) => {
    const { exitCode, stdout, stderr } = await runInGuest({
      command: [process.execPath, program, scenario],
      seconds: 1200,
    })
    expect({ exitCode, stdout, stderr }).toMatchObject({ exitCode: 0 })
  })
})
