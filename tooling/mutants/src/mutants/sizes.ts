import type { Mutant } from '../mutant.ts'

export const sizesMutants: readonly Mutant[] = []
