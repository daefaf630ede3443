export type {
  ApplyOptions,
  ApplyResult,
  ArchiveLimits,
  OverlayWhiteouts,
  WhiteoutMode,
} from './apply/options.ts'
export { type CopyOptions, type PackOptions, TreeWorkers, type TreeWorkersOptions } from './tree-workers.ts'
export { compress, type CompressOptions } from './compression/compress.ts'
export { decompress } from './compression/decompress.ts'
export { type Compression, detectCompression } from './compression/detect.ts'
export { naiveDiff } from './naive-diff.ts'
