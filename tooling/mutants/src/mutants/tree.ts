import type { Mutant } from '../mutant.ts'

export const treeMutants: readonly Mutant[] = []
