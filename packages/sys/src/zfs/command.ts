/**
 * The calls of ZFS: an ioctl each on /dev/zfs, with a record (include/sys/zfs_ioctl.h, zfs_cmd_t) of which the first part
 * is what it was since ZFS 0.8. No library, no program.
 */
import { closeSync } from 'node:fs'
import { O } from '../abi.ts'
import { AT_FDCWD } from '../constants.ts'
import { SystemError } from '../error.ts'
import { ioctl } from '../file.ts'
import { address } from '../libc.ts'
import { openat } from '../open.ts'
import { decodeNvList, encodeNvList, type NvList } from './nvlist.ts'

/** `'Z' << 8` and a number. */
const CALL = {
  OBJSET_STATS: 0x5a12,
  DATASET_LIST_NEXT: 0x5a14,
  SNAPSHOT_LIST_NEXT: 0x5a15,
  SET_PROP: 0x5a16,
  CREATE: 0x5a17,
  DESTROY: 0x5a18,
  RENAME: 0x5a1a,
  SNAPSHOT: 0x5a23,
  DIFF: 0x5a36,
  OBJ_TO_STATS: 0x5a38,
  DESTROY_SNAPS: 0x5a3b,
  CLONE: 0x5a42,
  POOL_SYNC: 0x5a47,
} as const

/** Where things are in a zfs_cmd_t; the kernel's is shorter than the buffer. */
const at = {
  name: 0,
  nameLength: 4096,
  source: 4096,
  sourceSize: 4104,
  destination: 4112,
  destinationSize: 4120,
  value: 4144,
  valueLength: 8192,
  cookie: 12_616,
  object: 12_656,
} as const
const recordLength = 16_384
/** Where the kernel's answer has room. */
const answerLength = 256 * 1024

export interface ZfsRequest {
  /** A pool, dataset or snapshot. */
  readonly name: string
  readonly arguments?: NvList | undefined
  /** A second name. */
  readonly value?: string | undefined
  readonly cookie?: bigint | undefined
  readonly object?: bigint | undefined
  /** Whether the kernel answers with a list. */
  readonly answers?: boolean | undefined
}

export interface ZfsAnswer {
  readonly name: string
  readonly value: string
  readonly cookie: bigint
  readonly list: NvList
}

/** @throws SystemError as ZFS answers, with the call and the name; ENOENT also without /dev/zfs, ENAMETOOLONG */
export function zfsCall(call: keyof typeof CALL, request: ZfsRequest): ZfsAnswer {
  const { name, value = '', cookie = 0n, object = 0n, answers = false } = request
  const record = Buffer.alloc(recordLength)
  record.write(name, at.name)
  record.write(value, at.value)
  record.writeBigUInt64LE(cookie, at.cookie)
  record.writeBigUInt64LE(object, at.object)
  const source = request.arguments === undefined ? undefined : encodeNvList(request.arguments)
  const destination = answers ? Buffer.alloc(answerLength) : undefined
  if (source !== undefined) {
    record.writeBigUInt64LE(address(source), at.source)
    record.writeBigUInt64LE(BigInt(source.length), at.sourceSize)
  }
  if (destination !== undefined) {
    record.writeBigUInt64LE(address(destination), at.destination)
    record.writeBigUInt64LE(BigInt(destination.length), at.destinationSize)
  }
  const held = [source, destination]
  const fd = openat(AT_FDCWD, '/dev/zfs', O.RDWR)
  try {
    ioctl(fd, CALL[call], record)
  } catch (error) {
    if (!(error instanceof SystemError)) throw error
    const note = `ZFS, ${call}`
    throw new SystemError(-error.errno, {
      syscall: 'ioctl',
      path: name,
      ...(value === '' ? {} : { dest: value }),
      note,
    })
  } finally {
    closeSync(fd)
    // The record has but their addresses.
    held.length = 0
  }
  return {
    name: textAt(record, at.name, at.nameLength),
    value: textAt(record, at.value, at.valueLength),
    cookie: record.readBigUInt64LE(at.cookie),
    list: destination === undefined ? {} : decodeNvList(destination),
  }
}

function textAt(buffer: Buffer, start: number, length: number): string {
  const nul = buffer.indexOf(0, start)
  return buffer.toString('utf8', start, nul === -1 ? start + length : Math.min(nul, start + length))
}
