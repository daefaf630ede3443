/** Making a mounted filesystem larger. */
import { O } from './abi.ts'
import { statfs } from './filesystem.ts'
import { ioctl } from './file.ts'
import { withOpen } from './open.ts'

const LOOP_SET_CAPACITY = 0x4c07
const EXT4_IOC_RESIZE_FS = 0x40086610
/** With struct xfs_fsop_geom of 256 bytes, since Linux 5.2. */
const XFS_IOC_FSGEOMETRY = 0x8100587e
const XFS_IOC_FSGROWFSDATA = 0x4010586e
/** After blocksize, rtextsize, agblocks, agcount, logblocks, sectsize and inodesize. */
const imaxpctAt = 28

/** Has a loop device look again how large its file is. */
export function growLoop(device: string): void {
  withOpen(device, O.RDONLY, (fd) => ioctl(fd, LOOP_SET_CAPACITY))
}

/**
 * Makes an ext4 that is mounted as large as its device.
 *
 * @param bytes of the device; what is less than a block is left
 */
export function growExt4(directory: string, bytes: number): void {
  const argument = Buffer.alloc(8)
  argument.writeBigUInt64LE(BigInt(bytes) / BigInt(statfs(directory).blockSize))
  withOpen(directory, O.RDONLY | O.DIRECTORY, (fd) => ioctl(fd, EXT4_IOC_RESIZE_FS, argument))
}

/** Makes an xfs that is mounted as large as its device. Less than a block more is nothing. */
export function growXfs(directory: string, bytes: number): void {
  // struct xfs_growfs_data: newblocks, imaxpct (which stays as it is: geometry says what it is).
  const geometry = Buffer.alloc(256)
  const argument = Buffer.alloc(16)
  withOpen(directory, O.RDONLY | O.DIRECTORY, (fd) => {
    ioctl(fd, XFS_IOC_FSGEOMETRY, geometry)
    argument.writeBigUInt64LE(BigInt(bytes) / BigInt(geometry.readUInt32LE(0)))
    argument.writeUInt32LE(geometry.readUInt32LE(imaxpctAt), 8)
    ioctl(fd, XFS_IOC_FSGROWFSDATA, argument)
  })
}
