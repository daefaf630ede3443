export { blockDeviceSize, discardDevice, type FilesystemIdentity, identifyFilesystem } from './block.ts'
export {
  activateDevice,
  deviceMapperVersion,
  deviceNode,
  deviceNumber,
  type DeviceState,
  deviceState,
  deviceStatus,
  deviceTable,
  hasTarget,
  keepDevice,
  listDevices,
  loadTable,
  removeDevice,
  renameDevice,
  resumeDevice,
  sendMessage,
  suspendDevice,
} from './device.ts'
export { longestName, type Target } from './request.ts'
