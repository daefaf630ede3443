/** All cases, in the order in which they run. */
import type { ConformanceCase } from './case.ts'
import { abort } from './cases/abort.ts'
import { apply } from './cases/apply.ts'
import { changes } from './cases/changes.ts'
import { concurrency } from './cases/concurrency.ts'
import { depth } from './cases/depth.ts'
import { diff } from './cases/diff.ts'
import { disposal } from './cases/disposal.ts'
import { errors } from './cases/errors.ts'
import { generated } from './cases/generated.ts'
import { history } from './cases/history.ts'
import { leaks } from './cases/leaks.ts'
import { lifecycle } from './cases/lifecycle.ts'
import { mappedCases } from './cases/mapped.ts'
import { mount } from './cases/mount.ts'
import { namespaces } from './cases/namespaces.ts'
import { quota } from './cases/quota.ts'
import { quotaChange } from './cases/quota-change.ts'
import { reading } from './cases/reading.ts'
import { restart } from './cases/restart.ts'
import { sizes } from './cases/sizes.ts'
import { tree } from './cases/tree.ts'

export const allCases: readonly ConformanceCase[] = [
  ...lifecycle,
  ...mount,
  ...tree,
  ...diff,
  ...apply,
  ...changes,
  ...sizes,
  ...depth,
  ...quota,
  ...quotaChange,
  ...namespaces,
  ...mappedCases,
  ...concurrency,
  ...abort,
  ...disposal,
  ...restart,
  ...reading,
  ...errors,
  ...leaks,
  ...history,
  ...generated,
]
