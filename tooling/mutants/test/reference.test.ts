import { conformance } from '@graphdriver/core/conformance/vitest'
import { filesystemLab } from '@tooling/lab'
import reference from '../src/reference.ts'

conformance(reference, {
  lab: filesystemLab('tmpfs'),
  module: new URL('../src/reference.ts', import.meta.url),
})
