/** Quota groups of btrfs: one for each subvolume, with what it refers to and how much that may be. */
import { isSystemError } from '../error.ts'
import { ioctl } from '../file.ts'
import { ITEM, searchTree, TREE } from './search.ts'

const QUOTA_CTL = 0xc0109428
const QGROUP_CREATE = 0x4010942a
const QGROUP_LIMIT = 0x8030942b
const enable = 1n
const maxExclusive = 2n

/** Whether the filesystem counts. @throws SystemError EPERM without CAP_SYS_ADMIN */
export function quotaIsEnabled(fd: number): boolean {
  try {
    for (const { type } of searchTree(fd, {
      tree: TREE.QUOTA,
      objects: [0n, 0n],
      types: [ITEM.QGROUP_STATUS, ITEM.QGROUP_STATUS],
    }))
      if (type === ITEM.QGROUP_STATUS) return true
    return false
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return false
    throw error
  }
}

/** Makes the whole filesystem count, which costs every write something; success when it does already. */
export function enableQuota(fd: number): void {
  const argument = Buffer.alloc(16)
  argument.writeBigUInt64LE(enable, 0)
  ioctl(fd, QUOTA_CTL, argument)
}

/** What a subvolume may have alone, in bytes; undefined for as much as it likes. */
export function limitExclusive(fd: number, bytes: number | undefined): void {
  // struct btrfs_ioctl_qgroup_limit_args; qgroup 0 is that of the descriptor's subvolume.
  const argument = Buffer.alloc(48)
  argument.writeBigUInt64LE(maxExclusive, 8)
  argument.writeBigUInt64LE(bytes === undefined ? 2n ** 64n - 1n : BigInt(bytes), 24)
  ioctl(fd, QGROUP_LIMIT, argument)
}

/** Takes the group of a subvolume away, which outlives it. One that is not there is success. */
export function destroyQgroup(fd: number, id: bigint): void {
  const argument = Buffer.alloc(16)
  argument.writeBigUInt64LE(id, 8)
  try {
    ioctl(fd, QGROUP_CREATE, argument)
  } catch (error) {
    if (!isSystemError(error, 'ENOENT', 'ENOTCONN', 'EINVAL')) throw error
  }
}

export interface QgroupUsage {
  /** Bytes of all that the subvolume shows. */
  readonly referenced: number
  /** Bytes that it shares with no other. */
  readonly exclusive: number
}

/** What the filesystem has counted, as of its last commit; undefined where it does not count. */
export function qgroupUsage(fd: number, id: bigint): QgroupUsage | undefined {
  const search = {
    tree: TREE.QUOTA,
    objects: [0n, 0n],
    types: [ITEM.QGROUP_INFO, ITEM.QGROUP_INFO],
    offsets: [id, id],
  } as const
  try {
    for (const { type, offset, data } of searchTree(fd, search)) {
      // struct btrfs_qgroup_info_item: generation, rfer, rfer_cmpr, excl, excl_cmpr
      if (type === ITEM.QGROUP_INFO && offset === id)
        return { referenced: Number(data.readBigUInt64LE(8)), exclusive: Number(data.readBigUInt64LE(24)) }
    }
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error
  }
  return undefined
}
