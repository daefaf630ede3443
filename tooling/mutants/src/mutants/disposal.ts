import type { Mutant } from '../mutant.ts'

export const disposalMutants: readonly Mutant[] = []
