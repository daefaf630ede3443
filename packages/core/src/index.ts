export type { Capabilities } from './capabilities.ts'
export {
  defineDriver,
  type DriverDefinition,
  type DriverHost,
  type DriverOptions,
  driverApiVersion,
  isDriverDefinition,
  type Probe,
} from './definition.ts'
export { type DiscoveryOptions, loadDriver, resolveDriver } from './discovery.ts'
export type {
  CallOptions,
  Change,
  CreateOptions,
  DiffDriver,
  Driver,
  GetOptions,
  ProtoDriver,
  Quota,
  StatusRow,
  TarStream,
  Usage,
} from './driver.ts'
export { type ErrorCode, type ErrorDetails, GraphDriverError, isGraphDriverError } from './error.ts'
export {
  asLayerId,
  type ChainId,
  chainIdOf,
  type DiffId,
  type Digest,
  digestHex,
  digestOf,
  emptyDiffId,
  type LayerId,
  nextChainId,
  parseChainId,
  parseDiffId,
  parseDigest,
  parseLayerId,
  randomLayerId,
} from './id.ts'
export {
  checkIdMap,
  type IdMap,
  idMapKey,
  type IdRange,
  mappedOtherwise,
  requireMappable,
  unmappable,
} from './id-map.ts'
export { KeyedMutex } from './keyed-mutex.ts'
export type {
  CreateRWLayerOptions,
  Layer,
  LayerRecord,
  LayerStore,
  RegisterOptions,
  WritableLayer,
  WritableLayerRecord,
  StackedLayer,
} from './layer-store.ts'
export { layerMount, type Mount } from './mount.ts'
export { type MappedMounts, MappedViews } from './mapped-views.ts'
export { MountReferences } from './mount-references.ts'
export {
  checkQuota,
  mountLabelOf,
  parseBoolean,
  parseKeyValue,
  parseQuota,
  parseSize,
  rejectUnknownOptions,
} from './option.ts'
export {
  driverPriority,
  hostOf,
  hasState,
  leftBehind,
  leftBehindFile,
  priorState,
  probeDriver,
  type Refusal,
  selectDriver,
  type Selection,
  type SelectionOptions,
} from './selection.ts'
export { openReadOnly } from './read-only.ts'
export { unlessAborted } from './unless-aborted.ts'
export {
  meterOperations,
  type MetricCounter,
  type MetricHistogram,
  type MetricMeter,
  type Operation,
  operationChannel,
  operationChannelName,
  traced,
} from './telemetry.ts'
