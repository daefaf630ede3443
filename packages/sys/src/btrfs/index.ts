export {
  destroyQgroup,
  enableQuota,
  limitExclusive,
  qgroupUsage,
  type QgroupUsage,
  quotaIsEnabled,
} from './quota.ts'
export { changedInodes, type Reference, referencesOf, subvolumeRemains, subvolumesIn } from './search.ts'
export {
  commit,
  createSubvolume,
  destroySubvolume,
  firstInode,
  isSubvolume,
  snapshotSubvolume,
  subvolumeInfo,
  type SubvolumeInfo,
} from './subvolume.ts'
