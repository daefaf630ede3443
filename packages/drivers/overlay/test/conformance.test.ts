import { allCases } from '@graphdriver/core/conformance'
import { conformance } from '@graphdriver/core/conformance/vitest'
import { filesystemLab } from '@tooling/lab'
import overlay from '../src/index.ts'

const module = new URL('../dist/index.js', import.meta.url)

// Those that Docker's hosts had; what hard links cost is the same everywhere.
for (const kind of ['ext4', 'xfs'] as const) {
  conformance(overlay, {
    lab: filesystemLab(kind),
    module,
    report: '.turbo/conformance.json',
  })
}

// A filesystem in a file for each layer that has a size.
conformance(overlay, {
  name: 'overlay with quota=loop',
  lab: filesystemLab('ext4'),
  options: { quota: 'loop' },
  cases: allCases.filter(({ id }) => /^(?:quota|sizes|restart|leaks)\//.test(id)),
  module,
})
