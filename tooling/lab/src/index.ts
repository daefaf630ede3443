export {
  type Aspect,
  compareTrees,
  type ComparisonOptions,
  type Exception,
  findCommand,
  reap,
  type TemporaryDirectory,
  temporaryDirectory,
} from '@graphdriver/core/conformance'
export * from './filesystem.ts'
export * from './filesystem-lab.ts'
export * from './requirement.ts'
export { bytesText } from './bytes-text.ts'
export { type Manifest, manifestAt, publicPackages, workspaceRoot } from './workspace-packages.ts'
export { type Containerd, snapshotter, startContainerd } from './engine/containerd.ts'
export { boundRoot, type Docker, type EnginePlace, startDocker } from './engine/dockerd.ts'
export { type FaultyProxy, faultyProxy, type ProxyFault } from './engine/faulty-proxy.ts'
export { type Registry, registryRequirements, registryUser, startRegistry } from './engine/registry.ts'
export { benchmarkImage, debianImage, debianImageRequirements } from './image/cached-image.ts'
export type { LabImage, LabLayer, OciForms } from './image/lab-image.ts'
export { generatedImage } from './image/generated-image.ts'
export { type TarEntry, tarOf } from './image/plain-tar.ts'
export {
  type GuestFilesystem,
  type GuestRequest,
  type GuestResult,
  type GuestScratch,
  guestSystem,
  missingGuest,
  runInGuest,
} from './guest/guest.ts'
export { killAtCall, killAtEachCall, killRequirement, type KillRequest } from './killed-at-call.ts'
export { type Ending, type Fault, type FaultPoint, SteppedProcess } from './stepped-process.ts'
export {
  type RecordedDisk,
  recordedDisk,
  recordedDiskRequirements,
  type RecordedKind,
  type Recording,
} from './recorded-disk/recorded-disk.ts'
export { type StallingDisk, stallingDisk, stallingDiskRequirements } from './stalling-disk.ts'
export { id, makeLayer, workbench, type Workbench, type Workplace } from './workbench.ts'
export { type VirtualDisk, virtualDisk, virtualDiskRequirements } from './windows/virtual-disk.ts'
export {
  type WineMachine,
  wineMachine,
  wineRequirements,
  type WineRun,
  windowsPath,
} from './windows/machine.ts'
