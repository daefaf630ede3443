import { differentialCases, subjectOf } from '@graphdriver/core/conformance'
import { conformance } from '@graphdriver/core/conformance/vitest'
import overlay2 from '@graphdriver/overlay2'
import vfs from '@graphdriver/vfs'
import { filesystemLab } from '@tooling/lab'
import naiveOverlay2 from '../src/naive-overlay2.ts'

for (const kind of ['ext4', 'btrfs'] as const) {
  conformance(overlay2, {
    name: 'overlay2 against vfs',
    lab: filesystemLab(kind),
    cases: differentialCases(subjectOf(vfs)),
  })
}

conformance(overlay2, {
  name: 'overlay2 against its own layers, walked',
  lab: filesystemLab('ext4'),
  cases: differentialCases(subjectOf(naiveOverlay2, { name: 'overlay2 without native diffs' })),
})
