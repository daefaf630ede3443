import type { Mutant } from '../mutant.ts'

export const historyMutants: readonly Mutant[] = []
