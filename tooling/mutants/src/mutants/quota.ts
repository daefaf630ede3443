import type { Mutant } from '../mutant.ts'

export const quotaMutants: readonly Mutant[] = []
