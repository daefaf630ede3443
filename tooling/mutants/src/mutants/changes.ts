import type { Mutant } from '../mutant.ts'

export const changesMutants: readonly Mutant[] = []
