import { allCases } from '@graphdriver/core/conformance'
import { conformance } from '@graphdriver/core/conformance/vitest'
import { filesystemLab } from '@tooling/lab'
import btrfs from '../src/index.ts'

const module = new URL('../dist/index.js', import.meta.url)

conformance(btrfs, { lab: filesystemLab('btrfs'), module, report: '.turbo/conformance.json' })

// The same with what whole filesystems pay for.
conformance(btrfs, {
  name: 'btrfs with quotas',
  lab: filesystemLab('btrfs'),
  options: { min_space: '0' },
  cases: allCases.filter(({ id }) => /^(?:quota|sizes|lifecycle|errors)\//.test(id)),
  module,
})
