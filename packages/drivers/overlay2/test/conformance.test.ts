import { conformance } from '@graphdriver/core/conformance/vitest'
import { filesystemKinds, filesystemLab } from '@tooling/lab'
import overlay2 from '../src/index.ts'

for (const kind of filesystemKinds) {
  conformance(overlay2, {
    lab: filesystemLab(kind),
    module: new URL('../dist/index.js', import.meta.url),
    report: '.turbo/conformance.json',
  })
}
