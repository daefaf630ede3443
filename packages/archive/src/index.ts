export type {
  ApplyOptions,
  ApplyResult,
  ArchiveLimits,
  AufsWhiteouts,
  LayerFormat,
  OverlayWhiteouts,
  WhiteoutMode,
} from './apply/options.ts'
export {
  type CompareOptions,
  type CopyOptions,
  type PackOptions,
  type RemoveOptions,
  TreeWorkers,
  type TreeWorkersOptions,
} from './tree-workers.ts'
export type { Shade, ShadeRequest } from './aufs/shade.ts'
export { compress, type CompressOptions } from './compression/compress.ts'
export { decompress, type DecompressOptions } from './compression/decompress.ts'
export { type Compression, detectCompression } from './compression/detect.ts'
export { naiveDiff } from './naive-diff.ts'
export { type DiscardOptions, removeBehind } from './remove-behind.ts'
export { Crc64 } from './crc64.ts'
export type { PaxRecord, SparseExtent, TarEntryType, TarHeader, XattrRecord } from './tar/header.ts'
export { formatTime } from './tar/pax-writer.ts'
export { paxTime } from './tar/pax.ts'
export { type TarHandler, TarParser } from './tar/parser.ts'
export { type TarEntry, TarWriter } from './tar/writer.ts'
export { type AssembleOptions, assembleTar } from './tar-split/assemble.ts'
export {
  type ExamineOptions,
  examineTree,
  type TreeDamage,
  type TreeExamination,
} from './tar-split/examine.ts'
export { type DeedEntry, deedOn, type PathDeed } from './tar-split/path-deed.ts'
export { tarLength } from './tar-split/tar-length.ts'
export { splitTar, type SplitOptions, type TarSplitSink } from './tar-split/split.ts'
export { tellRecipe } from './tar-split/tell.ts'
export { TarSplitter } from './tar-split/splitter.ts'
export { touch, type Touched, untouched } from './tree/touched.ts'
export { copyDirectoryAttributes } from './tree/copy-attributes.ts'
export { type UpperComparison, upperChanges } from './upper/changes.ts'
export { hasRedirect } from './upper/redirect.ts'
export type { Conversion } from './worker/job.ts'
export { describeFailure, type Failure, reviveFailure } from './worker/failure.ts'
