import type { Mutant } from '../mutant.ts'

export const namespacesMutants: readonly Mutant[] = []
