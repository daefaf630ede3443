import { allCases } from '@graphdriver/core/conformance'
import { conformance } from '@graphdriver/core/conformance/vitest'
import { filesystemKinds, filesystemLab } from '@tooling/lab'
import vfs from '../src/index.ts'

const module = new URL('../dist/index.js', import.meta.url)

for (const kind of filesystemKinds) {
  conformance(vfs, {
    lab: filesystemLab(kind),
    module,
    report: '.turbo/conformance.json',
  })
}

// A filesystem in a file for each layer that has a size.
conformance(vfs, {
  name: 'vfs with quota=loop',
  lab: filesystemLab('ext4'),
  options: { quota: 'loop' },
  cases: allCases.filter(({ id }) => /^(?:quota|sizes|restart|leaks)\//.test(id)),
  module,
})
