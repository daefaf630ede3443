import type { Mutant } from '../mutant.ts'

export const diffMutants: readonly Mutant[] = []
