import type { Mutant } from '../mutant.ts'

export const abortMutants: readonly Mutant[] = []
