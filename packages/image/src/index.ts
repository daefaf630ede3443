export { acceptedFormats } from './invalid-image.ts'
export { type BundleOptions, type UserNamespaceMaps, writeBundle } from './bundle.ts'
export {
  type ContainerConfig,
  type HistoryEntry,
  type ImageConfig,
  parseImageConfig,
} from './image-config.ts'
export type { ImageSource, SourceImage, SourceLayer } from './image-source.ts'
export { type ImageStore, type ImageStoreOptions, openImageStore, type SkippedImage } from './image-store.ts'
export type { Image } from './image.ts'
export { layerOpeners } from './load-layers.ts'
export { type LoadedImage, loadImages, type LoadImagesOptions, type LoadTarget } from './load-images.ts'
export type { LoadProgress, ProgressListener } from './load-progress.ts'
export {
  migrate,
  type MigrateOptions,
  type MigrationPlan,
  type MigrationProgress,
  type MigrationSide,
  planMigration,
} from './migrate.ts'
export { commitImage, type CommitOptions } from './commit-image.ts'
export { type SavedImage, saveImages, type SaveSource } from './save-images.ts'
export { openImageSource, type OpenImageSourceOptions } from './open-image-source.ts'
export { formatPlatform, hostPlatform, parsePlatform, type Platform } from './platform.ts'
export { processArguments } from './process-arguments.ts'
export { type ProcessUser, processUser } from './process-user.ts'
export { openReferenceStore, type ReferenceStore, type ReferenceStoreOptions } from './reference-store.ts'
export { type Credentials, type CredentialSource, dockerCredentials } from './registry/credentials.ts'
export type { RetryOptions } from './registry/client.ts'
export { pushImage, type PushedImage, type PushOptions, type PushProgress } from './registry/push.ts'
export {
  Downloads,
  dropDownloads,
  type KeptDownload,
  keptDownloads,
  mayBeDamage,
} from './registry/downloads.ts'
export { openRegistrySource, type RegistryOptions } from './registry/open-registry-source.ts'
export { parseReference, type Reference } from './reference.ts'
export type {
  DeviceRule,
  IdMapping,
  NamespaceType,
  RuntimeLinux,
  RuntimeMount,
  RuntimeProcess,
  RuntimeSpec,
  RuntimeUser,
} from './runtime-spec.ts'
