import { conformance } from '@graphdriver/core/conformance/vitest'
import reference from '../src/reference.ts'

conformance(reference, { module: new URL('../src/reference.ts', import.meta.url) })
