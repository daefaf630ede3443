import { conformance } from '@graphdriver/core/conformance/vitest'
import { filesystemKinds, filesystemLab } from '@tooling/lab'
import vfs from '../src/index.ts'

for (const kind of filesystemKinds) {
  conformance(vfs, {
    lab: filesystemLab(kind),
    module: new URL('../dist/index.js', import.meta.url),
    report: '.turbo/conformance.json',
  })
}
