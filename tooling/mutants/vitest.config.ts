import { unit } from '@tooling/vitest'
import { mergeConfig } from 'vitest/config'

/** Whether a recipe fails is all that is asked of a mutant, not how short it can be made; some need a dozen. */
const env = { GRAPHDRIVER_RUNS: '12', GRAPHDRIVER_SHRINKS: '0' }

export default mergeConfig(unit('mutants'), { test: { env } })
