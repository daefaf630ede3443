import type { Mutant } from '../mutant.ts'

export const restartMutants: readonly Mutant[] = []
