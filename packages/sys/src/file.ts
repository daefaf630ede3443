/** Calls on open files: locks, clones, holes and device controls. */
import { constants } from 'node:os'
import { LOCK } from './constants.ts'
import { checked, failure, lastError, libc } from './libc.ts'

/** How to lock: held by many, by one, or not at all. */
export type LockMode = 'shared' | 'exclusive' | 'unlock'

const lockOperation: Readonly<Record<LockMode, number>> = {
  shared: LOCK.SH,
  exclusive: LOCK.EX,
  unlock: LOCK.UN,
}

/**
 * flock(2). The lock belongs to the open file and goes when the last descriptor does, however the process ends.
 *
 * @returns false when `nonblocking` was asked for and another open file holds the lock
 */
export function flock(
  fd: number,
  mode: LockMode,
  options: { readonly nonblocking?: boolean | undefined } = {},
): boolean {
  const operation = lockOperation[mode] | (options.nonblocking === true ? LOCK.NB : 0)
  for (;;) {
    if (libc('flock').flock(fd, operation) !== -1) return true
    const errno = lastError('flock')
    if (errno === constants.errno.EAGAIN) return false
    if (errno !== constants.errno.EINTR) throw failure('flock')
  }
}

/**
 * ioctl(2). A Buffer is passed by reference and may be written to; a number is passed as it is.
 *
 * @returns the call's own result
 */
export function ioctl(fd: number, request: number, argument: Buffer | number | bigint = 0): number {
  const c = libc('ioctl')
  const result = Buffer.isBuffer(argument)
    ? c.ioctl(fd, request, argument)
    : c.ioctlNumber(fd, request, argument)
  return checked(result, 'ioctl')
}

const FICLONE = 0x40049409

/**
 * Makes one file share all data of another (ioctl_ficlone(2)).
 *
 * @throws SystemError ENOTSUP, EINVAL or EXDEV where the filesystem cannot
 */
export function ficlone(destination: number, source: number): void {
  checked(libc('ioctl').ioctlNumber(destination, FICLONE, source), 'ioctl')
}

/**
 * copy_file_range(2), at the files' positions, which move, or where the offsets say.
 *
 * @returns bytes copied; 0 at the end of the source
 */
export function copyFileRange(
  source: number,
  destination: number,
  length: number,
  sourceOffset?: number,
  destinationOffset?: number,
): number {
  const from = sourceOffset === undefined ? null : BigInt64Array.of(BigInt(sourceOffset))
  const to = destinationOffset === undefined ? null : BigInt64Array.of(BigInt(destinationOffset))
  const c = libc('copy_file_range')
  return checked(c.copy_file_range(source, from, destination, to, length, 0), 'copy_file_range')
}

const punchHoleKeepSize = 3

/** Frees the blocks of a range, which then reads as zeros (fallocate(2)); the file's size stays. */
export function fallocatePunchHole(fd: number, offset: number, length: number): void {
  checked(libc('fallocate').fallocate(fd, punchHoleKeepSize, offset, length), 'fallocate')
}

const seekData = 3
const seekHole = 4

function seek(fd: number, offset: number, whence: number): number | undefined {
  const found = libc('lseek').lseek(fd, offset, whence)
  if (found !== -1) return found
  if (lastError('lseek') === constants.errno.ENXIO) return undefined
  throw failure('lseek')
}

/** Where data begins at or after `offset`; `undefined` when there is none. Moves the file's position. */
export function lseekData(fd: number, offset: number): number | undefined {
  return seek(fd, offset, seekData)
}

/** Where the next hole begins at or after `offset`; the end of the file counts as one. Moves the file's position. */
export function lseekHole(fd: number, offset: number): number | undefined {
  return seek(fd, offset, seekHole)
}
