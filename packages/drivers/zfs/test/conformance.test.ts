import { allCases } from '@graphdriver/core/conformance'
import { guestConformance } from '@tooling/lab/guest-conformance'

const program = new URL('guest/examination.ts', import.meta.url)

// The kernels of test machines have no ZFS.
await guestConformance({
  title: 'zfs on a pool of a disk',
  program: [program, 'disk'],
  cases: allCases,
  disks: [{ sizeMiB: 4096 }],
  report: '.turbo/conformance.json',
})
await guestConformance({
  title: 'zfs on a pool of a file',
  program: [program, 'file'],
  cases: allCases,
  scratch: { filesystem: 'ext4', sizeMiB: 8192 },
  report: '.turbo/conformance.json',
})
