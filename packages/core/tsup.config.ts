import { library } from '@tooling/tsup'

export default library(
  'src/index.ts',
  'src/bench/index.ts',
  'src/conformance/index.ts',
  'src/conformance/node-test.ts',
  'src/conformance/victim.ts',
  'src/conformance/vitest.ts',
)
