export { Departures } from './departures.ts'
export { type ExclusiveMountPoint, mountExclusively, unmountExclusively } from './exclusive.ts'
export { examineOverlay, examineToRead, namesTypes, type OverlayHost, type OverlayRefusal } from './host.ts'
export {
  chooseWay,
  maximumDepth,
  maximumLower,
  mountData,
  type MountOption,
  mountOptions,
  type Stack,
} from './mount-data.ts'
export { mountMappedStack, notedMap, noteMap } from './mapped.ts'
export { isStackMounted, type MountPoint, mountStack, openStack } from './stack.ts'
export type { OverlayXattr, UpperIsDiff } from './trial.ts'
export { examineProgram, standardProgram } from './program.ts'
