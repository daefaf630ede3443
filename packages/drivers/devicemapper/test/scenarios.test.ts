/** Pools that fill, vanish, grow and belong to others, and processes that are killed: on a real device mapper, in a guest. */
import { guestScenarios } from '@tooling/lab/guest-scenario-tests'

await guestScenarios({
  title: 'a pool',
  program: new URL('guest/scenarios.ts', import.meta.url),
  requires: ['dmsetup', 'thin_check', 'thin_dump'].map((command) => ({ command })),
  disks: [{ sizeMiB: 2048 }],
  scenarios: [
    ['has Docker’s records', 'docker-format'],
    ['that is full says so, loses nothing, and has room again after a removal', 'data-full'],
    ['whose metadata are full says so, can be read, and goes on when they grow', 'metadata-full'],
    ['whose device vanishes says so, and has everything when it is back', 'device-vanishes'],
    ['of somebody else is not taken', 'foreign'],
    ['that is not the one from before is told by the UUID of its base device', 'wrong-uuid'],
    ['grows while a layer is mounted', 'pool-grows'],
    ['has layers as large as its base device, which grows', 'base-grows'],
    ['loses a layer that is in use when it is not any more', 'deferred-deletion'],
    ['is rid of devices that a dead process left', 'leaked-devices'],
    ['may be given, and is left alone', 'given-pool'],
    ['has lost nothing and kept nothing when a process is killed before any of its calls', 'killed'],
    ['can be made of a blank device by LVM', 'direct-lvm'],
  ],
})
