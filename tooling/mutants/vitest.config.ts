import { unit } from '@tooling/vitest'
import { mergeConfig } from 'vitest/config'

/** Whether a recipe fails is all that is asked of a mutant, not how short it can be made. */
export default mergeConfig(unit('mutants'), { test: { env: { GRAPHDRIVER_SHRINKS: '0' } } })
