export {
  cloneSnapshot,
  createDataset,
  createSnapshot,
  datasetsIn,
  destroyDataset,
  destroySnapshots,
  poolOf,
  readProperties,
  renameDataset,
  setProperties,
  snapshotsOf,
  syncPool,
  type ZfsProperties,
  type ZfsProperty,
} from './dataset.ts'
export { changedObjects, pathOfObject } from './difference.ts'
