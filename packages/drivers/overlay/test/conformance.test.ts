import { conformance } from '@graphdriver/core/conformance/vitest'
import { filesystemLab } from '@tooling/lab'
import overlay from '../src/index.ts'

// Those that Docker's hosts had; what hard links cost is the same everywhere.
for (const kind of ['ext4', 'xfs'] as const) {
  conformance(overlay, {
    lab: filesystemLab(kind),
    module: new URL('../dist/index.js', import.meta.url),
    report: '.turbo/conformance.json',
  })
}
