/** Pools that fill and fail, layers that are held, and processes that are killed: on real ZFS, in a guest. */
import { guestScenarios } from '@tooling/lab/guest-scenario-tests'

await guestScenarios({
  title: 'zfs',
  program: new URL('guest/scenarios.ts', import.meta.url),
  scenarios: [
    ['has Docker’s datasets', 'docker-layout'],
    ['says that a pool is full, loses nothing, and has room again after a removal', 'full'],
    ['says that a pool is suspended, and has everything when its disk is back', 'suspended'],
    ['says who holds what is removed, and deletes it when nobody does any more', 'busy'],
    ['has lost nothing and kept nothing when a process is killed before any of its calls', 'killed'],
    ['finds changes without looking at what is as it was', 'native-diff'],
  ],
})
