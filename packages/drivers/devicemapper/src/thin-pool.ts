/** What the kernel says of pools of thin devices (Documentation/admin-guide/device-mapper/thin-provisioning.rst): pure. */
import { GraphDriverError } from '@graphdriver/core'
import type { Target } from '@graphdriver/sys/devicemapper'

/** What a pool takes of a sort of blocks. */
export interface Space {
  readonly used: number
  readonly total: number
}

export type PoolMode = 'read-write' | 'read-only' | 'out-of-data-space' | 'failed'

export interface PoolStatus {
  readonly transaction: number
  /** In blocks of 4096 bytes. */
  readonly metadata: Space
  /** In blocks of the pool's own size. */
  readonly data: Space
  readonly mode: PoolMode
  /** Its metadata have to be checked before it can be written again. */
  readonly needsCheck: boolean
}

const modes: Readonly<Record<string, PoolMode>> = {
  rw: 'read-write',
  ro: 'read-only',
  out_of_data_space: 'out-of-data-space',
}

/** @throws GD_POOL_UNUSABLE for a device that is no pool */
export function parsePoolStatus(pool: string, targets: readonly Target[]): PoolStatus {
  const { params } = onlyTarget(pool, targets)
  const [transaction = '', metadata = '', data = '', , mode = ''] = params.split(' ')
  if (transaction === 'Fail' || transaction === 'Error')
    return { transaction: 0, metadata: nothing, data: nothing, mode: 'failed', needsCheck: true }
  return {
    transaction: Number(transaction),
    metadata: parseSpace(metadata),
    data: parseSpace(data),
    mode: modes[mode] ?? 'failed',
    needsCheck: params.split(' ').includes('needs_check'),
  }
}

const nothing: Space = { used: 0, total: 0 }

function parseSpace(text: string): Space {
  const [used = Number.NaN, total = Number.NaN] = text.split('/').map(Number)
  return { used, total }
}

export interface PoolTable {
  /** Sectors of 512 bytes. */
  readonly length: number
  /** `MAJOR:MINOR`. */
  readonly metadataDevice: string
  readonly dataDevice: string
  /** Sectors. */
  readonly blockSectors: number
}

/** @throws GD_POOL_UNUSABLE for a device that is no pool */
export function parsePoolTable(pool: string, targets: readonly Target[]): PoolTable {
  const { length, params } = onlyTarget(pool, targets)
  const [metadataDevice = '', dataDevice = '', blockSectors = ''] = params.split(' ')
  return { length, metadataDevice, dataDevice, blockSectors: Number(blockSectors) }
}

function onlyTarget(pool: string, targets: readonly Target[]): Target {
  const [target, ...more] = targets
  if (target?.type === 'thin-pool' && more.length === 0) return target
  throw new GraphDriverError(
    'GD_POOL_UNUSABLE',
    `devicemapper: ${pool} is no pool of thin devices, but ${target?.type ?? 'empty'}; name another with the option dm.thinpooldev`,
    { pool, reason: 'not-a-pool' },
  )
}

/** Docker's: what falls below so many free blocks is told to whoever listens. */
const lowWaterBlocks = 32_768

/** A pool's table, Docker's but for the last word: a write that has no room fails at once, and does not wait a minute first. */
export function newPoolTarget(
  sectors: number,
  metadata: string,
  data: string,
  blockSectors: number,
  readOnly = false,
): Target {
  const features = ['skip_block_zeroing', 'error_if_no_space', ...(readOnly ? ['read_only'] : [])]
  const params = [metadata, data, blockSectors, lowWaterBlocks, features.length, ...features].join(' ')
  return { start: 0, length: sectors, type: 'thin-pool', params }
}

/** A thin device's table. @param bytes its size. @param pool `MAJOR:MINOR` */
export function thinTarget(bytes: number, pool: string, id: number): Target {
  return { start: 0, length: bytes / 512, type: 'thin', params: `${pool} ${id}` }
}

/** What a pool's metadata begin with (drivers/md/dm-thin-metadata.c, struct thin_disk_superblock). */
const superblock = { magicAt: 32, magic: 27_022_010n, blockSectorsAt: 336, length: 340 } as const

/**
 * The size of a pool's blocks, from the first 4096 bytes of its metadata.
 *
 * @returns sectors; 0 where nothing is yet. @throws GD_POOL_UNUSABLE for something else's device
 */
export function blockSectorsOf(device: string, head: Buffer): number {
  if (head.length >= superblock.length && head.readBigUInt64LE(superblock.magicAt) === superblock.magic)
    return head.readUInt32LE(superblock.blockSectorsAt)
  if (head.every((byte) => byte === 0)) return 0
  throw new GraphDriverError(
    'GD_POOL_UNUSABLE',
    `devicemapper: ${device} holds something that is no metadata of a pool; ` +
      `if nobody needs it, clear its first 4096 bytes: dd if=/dev/zero of=${device} bs=4096 count=1`,
    { pool: device, reason: 'foreign' },
  )
}
