import type { Driver } from '@graphdriver/core'

/** What snapshots need of a driver. */
export type SnapshotDriver = Pick<
  Driver,
  | 'createReadWrite'
  | 'remove'
  | 'get'
  | 'put'
  | 'changes'
  | 'diffSize'
  | 'layers'
  | typeof Symbol.asyncDispose
>
