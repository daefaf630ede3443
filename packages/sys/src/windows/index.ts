/** Windows: layers by vmcompute.dll or computestorage.dll, virtual disks, and files by the calls for backup. */
export { isWindowsError, win32, WindowsError } from './error.ts'
export { BackupFile, type BasicInfo, longPath } from './files.ts'
export { enableBackupPrivileges } from './privileges.ts'
export { volumeFilesystem } from './volume.ts'
export { hasWindowsLayers, type LayerApi, layerApis, type WindowsLayers, windowsLayers } from './layers.ts'
export { detachDisk } from './disk.ts'
