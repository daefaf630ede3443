/** Making a mounted filesystem larger. */
import { closeSync } from 'node:fs'
import { O } from '../abi.ts'
import { AT_FDCWD } from '../constants.ts'
import { statfs } from '../filesystem.ts'
import { ioctl } from '../file.ts'
import { openat } from '../open.ts'

const LOOP_SET_CAPACITY = 0x4c07
const EXT4_IOC_RESIZE_FS = 0x40086610

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

function withOpen(file: string, flags: number, use: (fd: number) => void): void {
  const fd = openat(AT_FDCWD, file, flags)
  try {
    use(fd)
  } finally {
    closeSync(fd)
  }
}
