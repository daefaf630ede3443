import { conformance } from '@graphdriver/core/conformance/vitest'
import { filesystemKinds, filesystemLab } from '@tooling/lab'
import overlay from '../src/index.ts'

for (const kind of filesystemKinds) {
  conformance(overlay, {
    lab: filesystemLab(kind),
    module: new URL('../dist/index.js', import.meta.url),
    report: '.turbo/conformance.json',
  })
}
