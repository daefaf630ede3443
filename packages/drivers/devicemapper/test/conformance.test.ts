import { allCases } from '@graphdriver/core/conformance'
import { guestConformance } from '@tooling/lab/guest-conformance'

const program = new URL('guest/examination.ts', import.meta.url)

// The kernels of test machines have no device mapper.
for (const type of ['ext4', 'xfs'] as const)
  for (const kind of ['files', 'disks'])
    await guestConformance({
      title: `devicemapper on ${type}, its pool in ${kind}`,
      program: [program, kind, type],
      cases: allCases,
      // What it is compared with is on the same.
      scratch: { filesystem: type, sizeMiB: 6144 },
      disks: kind === 'disks' ? [{ sizeMiB: 40_000 }] : [],
      report: '.turbo/conformance.json',
    })
