/**
 * What a project has and may have, from the filesystem's counters (quotactl(2)). The calls are XFS's, which the kernel
 * translates for other filesystems.
 */
import { fstatSync, readlinkSync } from 'node:fs'
import path from 'node:path'
import { isSystemError } from '../error.ts'
import { checked, libc } from '../libc.ts'
import { major, minor } from '../stat.ts'

/** QCMD(call, PRJQUOTA) of linux/quota.h and linux/dqblk_xfs.h. */
const command = { setLimits: 0x580402, get: 0x580302, state: 0x580502 } as const
/** struct fs_disk_quota; blocks are of 512 bytes. */
const quota = {
  length: 112,
  version: 0,
  flags: 1,
  fields: 2,
  id: 4,
  blockHard: 8,
  blockSoft: 16,
  inodeHard: 24,
  inodeSoft: 32,
  blocks: 40,
  inodes: 48,
} as const
const version = 1
/** FS_PROJ_QUOTA. */
const projectType = 2
/** FS_DQ_ISOFT and so on. */
const field = { inodeSoft: 1, inodeHard: 2, blockSoft: 4, blockHard: 8 } as const
/** struct fs_quota_stat, and FS_QUOTA_PDQ_ACCT, FS_QUOTA_PDQ_ENFD in it. */
const state = { length: 80, flags: 2, accounts: 0x10, enforces: 0x20 } as const
const blockSize = 512n

/** How the kernel is told of the filesystem: by a file in it (Linux 5.14), or by its block device. */
export type QuotaWay = 'descriptor' | 'device'

/** What the filesystem does with projects. */
export interface ProjectState {
  readonly accounts: boolean
  readonly enforces: boolean
}

/** What is left out stays as it is; 0 is no limit. */
export interface ProjectLimits {
  readonly bytes?: number | undefined
  readonly inodes?: number | undefined
}

export interface ProjectUsage {
  readonly bytes: number
  readonly inodes: number
  /** 0 for no limit. */
  readonly limits: { readonly bytes: number; readonly inodes: number }
}

/** @throws SystemError ENOSYS, ESRCH, ENOTBLK or EOPNOTSUPP where the filesystem has no quotas */
export function projectState(fd: number, way?: QuotaWay): ProjectState {
  const answer = Buffer.alloc(state.length)
  call(fd, command.state, 0, answer, way)
  const flags = answer.readUInt16LE(state.flags)
  return { accounts: (flags & state.accounts) !== 0, enforces: (flags & state.enforces) !== 0 }
}

/** Bytes are rounded up to 512. @throws SystemError EPERM without CAP_SYS_ADMIN */
export function setProjectLimits(fd: number, id: number, limits: ProjectLimits, way?: QuotaWay): void {
  call(fd, command.setLimits, id, packLimits(id, limits), way)
}

/** @throws SystemError EPERM without CAP_SYS_ADMIN */
export function projectUsage(fd: number, id: number, way?: QuotaWay): ProjectUsage {
  const answer = Buffer.alloc(quota.length)
  try {
    call(fd, command.get, id, answer, way)
  } catch (error) {
    // XFS knows nothing of a project that never had a file.
    if (!isSystemError(error, 'ENOENT')) throw error
  }
  return unpackUsage(answer)
}

/** struct fs_disk_quota that sets limits, the soft ones to the same, so that no grace time begins. */
export function packLimits(id: number, { bytes, inodes }: ProjectLimits): Buffer {
  const record = Buffer.alloc(quota.length)
  record.writeInt8(version, quota.version)
  record.writeInt8(projectType, quota.flags)
  record.writeUInt32LE(id, quota.id)
  let fields = 0
  if (bytes !== undefined) {
    const blocks = (BigInt(bytes) + blockSize - 1n) / blockSize
    record.writeBigUInt64LE(blocks, quota.blockHard)
    record.writeBigUInt64LE(blocks, quota.blockSoft)
    fields |= field.blockHard | field.blockSoft
  }
  if (inodes !== undefined) {
    record.writeBigUInt64LE(BigInt(inodes), quota.inodeHard)
    record.writeBigUInt64LE(BigInt(inodes), quota.inodeSoft)
    fields |= field.inodeHard | field.inodeSoft
  }
  record.writeUInt16LE(fields, quota.fields)
  return record
}

export function unpackUsage(record: Buffer): ProjectUsage {
  const read = (at: number, unit = 1n): number => Number(record.readBigUInt64LE(at) * unit)
  return {
    bytes: read(quota.blocks, blockSize),
    inodes: read(quota.inodes),
    limits: { bytes: read(quota.blockHard, blockSize), inodes: read(quota.inodeHard) },
  }
}

function call(fd: number, request: number, id: number, argument: Buffer, way?: QuotaWay): void {
  if (way !== 'device') {
    try {
      checked(libc('quotactl_fd').quotactl_fd(fd, request, id, argument), 'quotactl_fd')
      return
    } catch (error) {
      if (way === 'descriptor' || !isSystemError(error, 'ENOSYS')) throw error
    }
  }
  const device = deviceOf(fd)
  checked(libc('quotactl').quotactl(request, device, id, argument), 'quotactl', device)
}

/** The node of the block device that a file's filesystem is on. */
function deviceOf(fd: number): string {
  const { dev } = fstatSync(fd, { bigint: true })
  return path.join('/dev', path.basename(readlinkSync(`/sys/dev/block/${major(dev)}:${minor(dev)}`)))
}
