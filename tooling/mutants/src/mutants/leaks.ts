import type { Mutant } from '../mutant.ts'

export const leaksMutants: readonly Mutant[] = []
