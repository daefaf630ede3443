import type { Mutant } from '../mutant.ts'

export const mountMutants: readonly Mutant[] = []
