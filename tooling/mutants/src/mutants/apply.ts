import type { Mutant } from '../mutant.ts'

export const applyMutants: readonly Mutant[] = []
