import type { Mutant } from './mutant.ts'
import { abortMutants } from './mutants/abort.ts'
import { applyMutants } from './mutants/apply.ts'
import { changesMutants } from './mutants/changes.ts'
import { concurrencyMutants } from './mutants/concurrency.ts'
import { depthMutants } from './mutants/depth.ts'
import { diffMutants } from './mutants/diff.ts'
import { disposalMutants } from './mutants/disposal.ts'
import { errorsMutants } from './mutants/errors.ts'
import { generatedMutants } from './mutants/generated.ts'
import { historyMutants } from './mutants/history.ts'
import { leaksMutants } from './mutants/leaks.ts'
import { lifecycleMutants } from './mutants/lifecycle.ts'
import { mappedMutants } from './mutants/mapped.ts'
import { mountMutants } from './mutants/mount.ts'
import { namespacesMutants } from './mutants/namespaces.ts'
import { quotaMutants } from './mutants/quota.ts'
import { quotaChangeMutants } from './mutants/quota-change.ts'
import { readingMutants } from './mutants/reading.ts'
import { restartMutants } from './mutants/restart.ts'
import { sizesMutants } from './mutants/sizes.ts'
import { treeMutants } from './mutants/tree.ts'

/** All mutants. A case that none of them fails needs one. */
export const mutants: readonly Mutant[] = [
  ...lifecycleMutants,
  ...mountMutants,
  ...treeMutants,
  ...diffMutants,
  ...applyMutants,
  ...changesMutants,
  ...sizesMutants,
  ...depthMutants,
  ...quotaMutants,
  ...quotaChangeMutants,
  ...namespacesMutants,
  ...mappedMutants,
  ...concurrencyMutants,
  ...abortMutants,
  ...disposalMutants,
  ...restartMutants,
  ...readingMutants,
  ...errorsMutants,
  ...leaksMutants,
  ...historyMutants,
  ...generatedMutants,
]
