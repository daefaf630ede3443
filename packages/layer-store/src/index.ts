export { dockerInitLayer } from './init-layer.ts'
export { type LockOptions, lockStore } from './lock.ts'
export type { SkippedRecord } from './restore.ts'
export { type DirectoryLayerStore, type LayerStoreOptions, openLayerStore } from './store.ts'
