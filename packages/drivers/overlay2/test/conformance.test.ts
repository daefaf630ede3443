import { allCases } from '@graphdriver/core/conformance'
import { conformance } from '@graphdriver/core/conformance/vitest'
import { filesystemKinds, filesystemLab } from '@tooling/lab'
import overlay2 from '../src/index.ts'

const module = new URL('../dist/index.js', import.meta.url)

for (const kind of filesystemKinds)
  conformance(overlay2, { lab: filesystemLab(kind), module, report: '.turbo/conformance.json' })

// A filesystem in a file for each layer that has a size.
for (const kind of ['ext4', 'btrfs'] as const) {
  conformance(overlay2, {
    name: 'overlay2 with quota=loop',
    lab: filesystemLab(kind),
    options: { quota: 'loop' },
    cases: allCases.filter(({ id }) => /^(?:quota|sizes|restart|leaks)\//.test(id)),
    module,
  })
}
