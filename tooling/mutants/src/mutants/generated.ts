import type { Mutant } from '../mutant.ts'

export const generatedMutants: readonly Mutant[] = []
