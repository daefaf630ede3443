/** What of the suite runs in Wine, and what the double and Windows are known to do otherwise. */
import { allCases, CannotRun, type ConformanceCase, type SubjectOptions } from '@graphdriver/core/conformance'

/** Wine looks up every part of a path anew, whatever its case: these would take minutes. */
const slow: ReadonlySet<string> = new Set([
  'tree/deep-directories-in-child',
  'tree/deep-directories-through-diff',
  'sizes/above-4-gib',
])

export const suiteCases: readonly ConformanceCase[] = allCases.map((one) =>
  slow.has(one.id) ? { ...one, run: () => Promise.reject(new CannotRun('it takes minutes in Wine')) } : one,
)

export const deviations: NonNullable<SubjectOptions['deviations']> = {
  'apply/file-then-whiteout':
    'what a layer of Windows deletes is of the layers below, wherever in its tar it says so',
  'concurrency/gets-of-two-instances':
    'Windows does not count who shows a layer; one process does, as with Docker',
  'tree/sparse-files-stay-sparse-in-child': 'the double copies files byte by byte',
}
