/** Items of btrfs' trees, by number (BTRFS_IOC_TREE_SEARCH_V2), and what is in some of them (linux/btrfs_tree.h). */
import { ioctl } from '../file.ts'

const TREE_SEARCH_V2 = 0xc0709411
const keyLength = 104
const headerLength = 32
const bufferLength = 256 * 1024
const all = 2n ** 64n - 1n

export const ITEM = {
  INODE: 1,
  INODE_REF: 12,
  INODE_EXTREF: 13,
  ROOT: 132,
  ROOT_REF: 156,
  QGROUP_STATUS: 240,
  QGROUP_INFO: 242,
  QGROUP_LIMIT: 244,
} as const

export const TREE = { ROOT: 1n, QUOTA: 8n } as const

export interface Item {
  readonly object: bigint
  readonly type: number
  readonly offset: bigint
  /** Valid until the next item is asked for. */
  readonly data: Buffer
}

export interface Search {
  /** 0 for the tree of the subvolume that the descriptor is in. */
  readonly tree: bigint
  readonly objects?: readonly [min: bigint, max: bigint] | undefined
  /** Ranges of keys are compared as a whole: a type is only a bound where the object is one. */
  readonly types?: readonly [min: number, max: number] | undefined
  readonly offsets?: readonly [min: bigint, max: bigint] | undefined
  /** Leaves older than this transaction are passed over; in others, items may be older. */
  readonly since?: bigint | undefined
}

/**
 * Every item in a range of keys, in their order.
 *
 * @throws SystemError EPERM without CAP_SYS_ADMIN; ENOENT for a tree that is not there
 */
export function* searchTree(fd: number, search: Search): Generator<Item> {
  const { tree, objects = [0n, all], types = [0, 255], offsets = [0n, all], since = 0n } = search
  let [object, type, offset] = [objects[0], types[0], offsets[0]]
  const buffer = Buffer.alloc(keyLength + 8 + bufferLength)
  for (;;) {
    // struct btrfs_ioctl_search_key, and the length of what follows.
    for (const [index, value] of [tree, object, objects[1], offset, offsets[1], since, all].entries())
      buffer.writeBigUInt64LE(value, index * 8)
    for (const [index, value] of [type, types[1], 4096].entries()) buffer.writeUInt32LE(value, 56 + index * 4)
    buffer.fill(0, 68, keyLength)
    buffer.writeBigUInt64LE(BigInt(bufferLength), keyLength)
    ioctl(fd, TREE_SEARCH_V2, buffer)
    const found = buffer.readUInt32LE(64)
    if (found === 0) return
    for (let index = 0, at = keyLength + 8; index < found; index++) {
      object = buffer.readBigUInt64LE(at + 8)
      offset = buffer.readBigUInt64LE(at + 16)
      type = buffer.readUInt32LE(at + 24)
      const end = at + headerLength + buffer.readUInt32LE(at + 28)
      yield { object, type, offset, data: buffer.subarray(at + headerLength, end) }
      at = end
    }
    // On from the key after the last.
    if (offset < all) offset++
    else if (type < 255) [type, offset] = [type + 1, 0n]
    else if (object < all) [object, type, offset] = [object + 1n, 0, 0n]
    else return
  }
}

/** A name of an inode, and the directory that it is in. */
export interface Reference {
  readonly parent: bigint
  readonly name: Buffer
}

/** Every name of an inode of a subvolume. */
export function referencesOf(fd: number, inode: bigint): readonly Reference[] {
  const names: Reference[] = []
  const search = { tree: 0n, objects: [inode, inode], types: [ITEM.INODE_REF, ITEM.INODE_EXTREF] } as const
  for (const { type, offset, data } of searchTree(fd, search)) {
    // struct btrfs_inode_ref: index, length, name. btrfs_inode_extref has the parent first, the key has a hash of it.
    const extended = type === ITEM.INODE_EXTREF
    const lengthAt = extended ? 16 : 8
    for (let at = 0; at < data.length;) {
      const start = at + lengthAt + 2
      const end = start + data.readUInt16LE(at + lengthAt)
      names.push({
        parent: extended ? data.readBigUInt64LE(at) : offset,
        name: Buffer.from(data.subarray(start, end)),
      })
      at = end
    }
  }
  return names
}

/** Inodes of a subvolume that were changed after a transaction: their content, their attributes or, of a directory, its names. */
export function* changedInodes(fd: number, since: bigint): Generator<bigint> {
  const search = { tree: 0n, since: since + 1n }
  for (const { type, object, data } of searchTree(fd, search)) {
    // struct btrfs_inode_item: generation, transid
    if (type === ITEM.INODE && data.readBigUInt64LE(8) > since) yield object
  }
}

/** Subvolumes in a subvolume, not those in them: where each is. */
export function subvolumesIn(fd: number, id: bigint): readonly Reference[] {
  const found: Reference[] = []
  const search = { tree: TREE.ROOT, objects: [id, id], types: [ITEM.ROOT_REF, ITEM.ROOT_REF] } as const
  for (const { type, object, data } of searchTree(fd, search)) {
    // struct btrfs_root_ref: directory, sequence, length, name
    if (type !== ITEM.ROOT_REF || object !== id) continue
    const name = Buffer.from(data.subarray(18, 18 + data.readUInt16LE(16)))
    found.push({ parent: data.readBigUInt64LE(0), name })
  }
  return found
}

/** Whether a subvolume is there, or was deleted and still takes space: that is given back some time later. */
export function subvolumeRemains(fd: number, id: bigint): boolean {
  const search = { tree: TREE.ROOT, objects: [id, id], types: [ITEM.ROOT, ITEM.ROOT] } as const
  for (const { type } of searchTree(fd, search)) if (type === ITEM.ROOT) return true
  return false
}
