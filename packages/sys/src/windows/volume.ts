import { statfsSync } from 'node:fs'
import { calls, failure, isInvalid } from './native.ts'

/** What the filesystem calls itself: `NTFS`, `ReFS`. @param root of the volume, as `C:\` */
export function volumeFilesystem(root: string): string {
  const name = Buffer.alloc(2 * 64)
  if (calls('GetVolumeInformationW').GetVolumeInformationW(root, null, 0, null, null, null, name, 64) === 0)
    throw failure('GetVolumeInformationW', root)
  return name.toString('utf16le').replace(/\0.*$/s, '')
}

const readWrite = 0xc000_0000
const shareReadWrite = 3
const openExisting = 3
/** A directory too. */
const backupSemantics = 0x0200_0000
const lengthOfPartition = 0x0007_405c
const extendVolumeCode = 0x0009_00f0
const [clusterBytes, sectorBytes] = [4096, 512]

/**
 * Extends NTFS to the end of its partition, if it is not there.
 *
 * @param volume as `\\?\Volume{…}`
 * @throws WindowsError
 * @see IOCTL_DISK_GET_LENGTH_INFO, FSCTL_EXTEND_VOLUME
 */
export function extendVolume(volume: string): void {
  const root = volume.replace(/\\$/, '')
  const { blocks, bsize } = statfsSync(`${root}\\`)
  const c = calls('CreateFileW')
  const handle = c.CreateFileW(root, readWrite, shareReadWrite, null, openExisting, backupSemantics, 0)
  if (isInvalid(handle)) throw failure('CreateFileW', root)
  const control = (name: string, code: number, from: Buffer | null, into: Buffer | null): void => {
    const lengths = [from?.length ?? 0, into?.length ?? 0] as const
    if (c.DeviceIoControl(handle, code, from, lengths[0], into, lengths[1], [0], null) === 0)
      throw failure(name, root)
  }
  try {
    const number = Buffer.alloc(8)
    control('IOCTL_DISK_GET_LENGTH_INFO', lengthOfPartition, null, number)
    const clusters = number.readBigInt64LE(0) / BigInt(clusterBytes)
    // NTFS keeps one cluster for itself, and extending by nothing fails.
    if (BigInt(blocks) * BigInt(bsize) >= (clusters - 1n) * BigInt(clusterBytes)) return
    number.writeBigInt64LE(clusters * BigInt(clusterBytes / sectorBytes))
    control('FSCTL_EXTEND_VOLUME', extendVolumeCode, number, null)
  } finally {
    c.CloseHandle(handle)
  }
}
