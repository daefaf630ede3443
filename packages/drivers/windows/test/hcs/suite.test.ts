import { allCases } from '@graphdriver/core/conformance'
import { need, wineRequirements } from '@tooling/lab'
import { toldConformance } from '@tooling/lab/guest-conformance'
import { startSuite } from './start-suite.ts'

const seconds = 2400

// No Windows is there: what is shown is shown of the double.
toldConformance({
  title: 'windows (hcs) on the double',
  cases: allCases,
  report: '.turbo/conformance.json',
  missing: need(...wineRequirements),
  where: 'under Wine',
  seconds,
  start: (onOutput) => startSuite(onOutput, seconds),
})
