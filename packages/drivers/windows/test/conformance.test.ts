import { allCases } from '@graphdriver/core/conformance'
import { conformance } from '@graphdriver/core/conformance/vitest'
import { filesystemLab, need, wineRequirements } from '@tooling/lab'
import { toldConformance } from '@tooling/lab/guest-conformance'
import windows from '../src/index.ts'
import { startSuite } from './hcs/start-suite.ts'

const report = '.turbo/conformance.json'
const seconds = 2400

conformance(windows, {
  name: 'windows (ntfs)',
  lab: filesystemLab('ntfs'),
  module: new URL('../dist/index.js', import.meta.url),
  report,
  deviations: {
    'mount/open-file-deleted':
      'the FUSE library under ntfs-3g keeps an open file under another name, so it counts one link',
    'history/open-file': 'a file that is open keeps its layer’s directory until it is closed; remove says so',
  },
})

// No Windows is there: what is shown is shown of the double.
toldConformance({
  title: 'windows (hcs) on the double',
  cases: allCases,
  report,
  missing: need(...wineRequirements),
  where: 'under Wine',
  seconds,
  start: (onOutput) => startSuite(onOutput, seconds),
})
