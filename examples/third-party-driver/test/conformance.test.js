import { conformance } from '@graphdriver/core/conformance/node-test'
import driver from '../index.js'

conformance(driver, {
  module: import.meta.resolve('../index.js'),
  report: 'conformance.json',
})
