/**
 * How one thread tells another of a small file that it is to make: 72 bytes, the entry's path with a NUL, its content.
 *
 * ```
 *  0  u32 bytes of all          20  u32 bytes of the content    40  i64 atime, nanoseconds
 *  4  u32 directory's descriptor 24  f64 owner                  48  i64 mtime, nanoseconds
 *  8  u32 mode                  32  f64 group                   56  f64 where in the archive the entry begins
 * 12  u32 bytes of the path, without the NUL
 * 16  u32 where in the path the name begins
 * 64  f64 group of the directory, -1 where that is not known
 * ```
 *
 * Both ends are threads of one process: descriptors are the same in both.
 */
import type { TarHeader } from '../tar/header.ts'
import { type FileHeader, timesOf } from './metadata.ts'

const at = {
  length: 0,
  directory: 4,
  mode: 8,
  path: 12,
  name: 16,
  content: 20,
  uid: 24,
  gid: 32,
  atime: 40,
  mtime: 48,
  offset: 56,
  group: 64,
} as const

export const headBytes = 72
/** Of the content of a file that is worth being handed over. */
export const mostContent: number = 32 * 1024
const mostPath = 4096
export const mostRecord: number = headBytes + mostPath + 1 + mostContent

/** What is to be made. Views are valid only during the call. */
export interface SideFile {
  readonly directory: number
  /** Its group id, where that is known. */
  readonly directoryGroup: number | undefined
  /** In the directory; with a NUL, as system calls take it. */
  readonly name: Buffer
  /** What an entry's header says. */
  readonly header: FileHeader
  readonly content: Uint8Array
}

/** Whether a file has nothing that a record cannot tell. */
export function fitsRecord(header: TarHeader, path: string): boolean {
  return (
    header.sparse === undefined &&
    header.xattrs.length === 0 &&
    header.size <= mostContent &&
    path.length <= mostPath &&
    isInt64(header.mtimeNs) &&
    (header.atimeNs === undefined || isInt64(header.atimeNs))
  )
}

function isInt64(value: bigint): boolean {
  return BigInt.asIntN(64, value) === value
}

/**
 * Writes all but the content into a buffer of `mostRecord` bytes.
 *
 * @param path the entry's, one character per byte
 * @param name where its last part begins
 * @returns bytes written; the content goes behind
 */
export function writeHead(
  record: Buffer,
  header: TarHeader,
  path: string,
  { fd, group, name }: { readonly fd: number; readonly group: number | undefined; readonly name: number },
): number {
  const { atimeNs, mtimeNs } = timesOf(header)
  const end = headBytes + path.length + 1
  record.writeUInt32LE(end + header.size, at.length)
  record.writeUInt32LE(fd, at.directory)
  record.writeUInt32LE(header.mode >>> 0, at.mode)
  record.writeUInt32LE(path.length, at.path)
  record.writeUInt32LE(name, at.name)
  record.writeUInt32LE(header.size, at.content)
  record.writeDoubleLE(header.uid, at.uid)
  record.writeDoubleLE(header.gid, at.gid)
  record.writeBigInt64LE(atimeNs ?? mtimeNs, at.atime)
  record.writeBigInt64LE(mtimeNs, at.mtime)
  record.writeDoubleLE(header.offset, at.offset)
  record.writeDoubleLE(group ?? -1, at.group)
  record.write(path, headBytes, 'latin1')
  record[end - 1] = 0
  return end
}

/** Bytes of the record that begins in `bytes`, of which at least the head is there. */
export function recordLength(bytes: Buffer, from: number): number {
  return bytes.readUInt32LE(from + at.length)
}

export function readRecord(record: Buffer): SideFile {
  const pathEnd = headBytes + record.readUInt32LE(at.path)
  const path = record.subarray(headBytes, pathEnd)
  const group = record.readDoubleLE(at.group)
  return {
    directory: record.readUInt32LE(at.directory),
    directoryGroup: group === -1 ? undefined : group,
    name: record.subarray(headBytes + record.readUInt32LE(at.name), pathEnd + 1),
    header: {
      name: path,
      offset: record.readDoubleLE(at.offset),
      uid: record.readDoubleLE(at.uid),
      gid: record.readDoubleLE(at.gid),
      mode: record.readUInt32LE(at.mode),
      xattrs: [],
      atimeNs: record.readBigInt64LE(at.atime),
      mtimeNs: record.readBigInt64LE(at.mtime),
    },
    content: record.subarray(pathEnd + 1, pathEnd + 1 + record.readUInt32LE(at.content)),
  }
}
