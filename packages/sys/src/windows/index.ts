/** Windows: layers by vmcompute.dll, and files by the calls for backup. */
export { isWindowsError, win32, WindowsError } from './error.ts'
export { BackupFile, type BasicInfo, enableBackupPrivileges, longPath, volumeFilesystem } from './files.ts'
export { hasWindowsLayers, type WindowsLayers, windowsLayers } from './layers.ts'
export { detachDisk } from './disk.ts'
