/** Block devices, and what is on them. */
import { readSync } from 'node:fs'
import { O } from '../abi.ts'
import { ioctl } from '../file.ts'
import { withOpen } from '../open.ts'

const BLKGETSIZE64 = 0x80081272
const BLKDISCARD = 0x1277

/** Bytes. @throws SystemError ENOTTY for what is no block device */
export function blockDeviceSize(device: string): number {
  return withOpen(device, O.RDONLY, (fd) => {
    const size = Buffer.alloc(8)
    ioctl(fd, BLKGETSIZE64, size)
    return Number(size.readBigUInt64LE())
  })
}

/** Says that nothing on a device is needed any more. @throws SystemError EOPNOTSUPP where that is nothing to it */
export function discardDevice(device: string, bytes: number): void {
  withOpen(device, O.RDWR, (fd) => {
    const range = Buffer.alloc(16)
    range.writeBigUInt64LE(BigInt(bytes), 8)
    ioctl(fd, BLKDISCARD, range)
  })
}

export interface FilesystemIdentity {
  readonly type: 'ext4' | 'xfs' | 'btrfs'
  /** In small letters, with hyphens. */
  readonly uuid: string
}

/** Where filesystems have their mark and their UUID, in bytes from the start of the device. */
const superblocks = [
  { type: 'xfs', at: 0, magic: Buffer.from('XFSB'), uuidAt: 32 },
  { type: 'ext4', at: 0x438, magic: Buffer.of(0x53, 0xef), uuidAt: 0x468 },
  { type: 'btrfs', at: 0x1_0040, magic: Buffer.from('_BHRfS_M'), uuidAt: 0x1_0020 },
] as const

const superblockEnd = 0x1_0048

/** What filesystem a device has. @returns undefined for none that is known here */
export function identifyFilesystem(device: string): FilesystemIdentity | undefined {
  const head = Buffer.alloc(superblockEnd)
  const length = withOpen(device, O.RDONLY, (fd) => readSync(fd, head, 0, head.length, 0))
  for (const { type, at, magic, uuidAt } of superblocks) {
    if (length < Math.max(at + magic.length, uuidAt + 16)) continue
    if (!head.subarray(at, at + magic.length).equals(magic)) continue
    return { type, uuid: hyphened(head.toString('hex', uuidAt, uuidAt + 16)) }
  }
  return undefined
}

function hyphened(digits: string): string {
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
