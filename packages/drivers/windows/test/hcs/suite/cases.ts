/** What of the suite runs in Wine, and what the double and Windows are known to do otherwise. */
import { allCases, CannotRun, type ConformanceCase, type SubjectOptions } from '@graphdriver/core/conformance'

const slow = 'Wine looks up every part of a path anew, and takes minutes'

const impossible: Readonly<Record<string, string>> = {
  'tree/deep-directories-in-child': slow,
  'tree/deep-directories-through-diff': slow,
  'sizes/above-4-gib': 'the double has no files of 4 GiB',
  'depth/long-root': 'the double has no paths of more than 1024 characters',
  'namespaces/device-impossible': 'no tar of Windows has a device',
}

export const suiteCases: readonly ConformanceCase[] = allCases.map((one) => {
  const reason = impossible[one.id]
  return reason === undefined ? one : { ...one, run: () => Promise.reject(new CannotRun(reason)) }
})

export const deviations: NonNullable<SubjectOptions['deviations']> = {
  'apply/file-then-whiteout':
    'what a layer of Windows deletes is of the layers below, wherever in its tar it says so',
  'concurrency/gets-of-two-instances':
    'Windows does not count who shows a layer; one process does, as with Docker',
  'history/longest-names-deleted':
    'a directory with so long a name has no room beside it for its streams, in which layers go in and out',
  'leaks/home-as-before':
    'the images that are made of parents here stay, as images do until somebody removes them',
  'tree/sparse-files-stay-sparse-in-child': 'the double copies files byte by byte',
}
