import type { Mutant } from '../mutant.ts'

export const depthMutants: readonly Mutant[] = []
