/** What differs between two snapshots, by the numbers of their files (dmu_diff of ZFS). */
import { closeSync, readFileSync } from 'node:fs'
import { O } from '../abi.ts'
import { AT_FDCWD } from '../constants.ts'
import { isSystemError } from '../error.ts'
import { openat } from '../open.ts'
import { zfsCall } from './command.ts'

/** O_TMPFILE without its O_DIRECTORY. */
const unnamed = 0o20000000 | O.DIRECTORY

/** dmu_diff_record_t: type, first and last, of 64 bits each. */
const recordLength = 24
const inUse = 2n

/**
 * The numbers of all objects that are in the second snapshot, and are not as in the first.
 *
 * @param directory in which there may be a file without a name, for the kernel to write to
 * @throws SystemError EXDEV when the second does not come from the first
 */
export function* changedObjects(from: string, to: string, directory: string): Generator<bigint, void> {
  const fd = openat(AT_FDCWD, directory, O.RDWR | unnamed, 0o600)
  let records: Buffer
  try {
    zfsCall('DIFF', { name: to, value: from, cookie: BigInt(fd) })
    records = readFileSync(`/proc/self/fd/${fd}`)
  } finally {
    closeSync(fd)
  }
  for (let at = 0; at + recordLength <= records.length; at += recordLength) {
    if (records.readBigUInt64LE(at) !== inUse) continue
    const last = records.readBigUInt64LE(at + 16)
    for (let object = records.readBigUInt64LE(at + 8); object <= last; object++) yield object
  }
}

/**
 * The path of a file from the root of its dataset or snapshot, `/` for that: one of them, where it has several.
 *
 * @returns undefined for what is no file, or has no name any more
 */
export function pathOfObject(name: string, object: bigint): string | undefined {
  try {
    return zfsCall('OBJ_TO_STATS', { name, object }).value
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'EINVAL', 'ESTALE', 'ENOTSUP')) return undefined
    throw error
  }
}
