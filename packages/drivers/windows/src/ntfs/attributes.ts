/**
 * What an NTFS file has that POSIX does not know, as ntfs-3g shows it: extended attributes `system.ntfs_*`, which are
 * not listed, and with `streams_interface=windows` further streams as files `name:stream`. All paths here are for calls
 * that do not follow a link.
 *
 * @see https://github.com/tuxera/ntfs-3g/wiki/Using-Extended-Attributes
 */
import { lstatSync } from 'node:fs'
import { isSystemError, lgetxattr, lremovexattr, lsetxattr, type Stat } from '@graphdriver/sys'
import { fileAttribute, fileTimeOf, nanosecondsOf } from '@graphdriver/windows-layer'

const xattr = {
  attributes: 'system.ntfs_attrib_be',
  security: 'system.ntfs_acl',
  extendedAttributes: 'system.ntfs_ea',
  reparsePoint: 'system.ntfs_reparse_data',
  shortName: 'system.ntfs_dos_name',
  times: 'system.ntfs_times_be',
  streams: 'ntfs.streams.list',
} as const

export interface FileTimes {
  /** Nanoseconds since 1970, of which NTFS keeps hundreds. */
  readonly created: bigint
  readonly written: bigint
  readonly accessed: bigint
  /** Not to be set: it is when anything was changed last. */
  readonly changed: bigint
}

const noAttributes = Buffer.alloc(4)
const largestDescriptor = 64 * 1024

/** Bits of `fileAttribute`. @throws SystemError ENOTSUP where the filesystem is no NTFS that ntfs-3g serves */
export function attributesOf(path: Buffer): number {
  return (lgetxattr(path, xattr.attributes) ?? noAttributes).readUInt32BE(0)
}

/** What a file is, by nature or by its reparse point, cannot be set by attributes. */
const nature = fileAttribute.directory | fileAttribute.reparsePoint

export function setAttributes(path: Buffer, attributes: number): void {
  const value = Buffer.alloc(4)
  value.writeUInt32BE((attributes & ~nature) >>> 0)
  lsetxattr(path, xattr.attributes, value)
}

/** When a file was made, as a FILETIME; what ntfs-3g tells of the other times may be older than what stat(2) does. */
export function creationTime(path: Buffer): bigint {
  return lgetxattr(path, xattr.times)?.readBigUInt64BE(0) ?? 0n
}

export function timesOf(path: Buffer, stat: Stat): FileTimes {
  return {
    created: nanosecondsOf(creationTime(path)),
    written: nanoseconds(stat.mtimeSec, stat.mtimeNsec),
    accessed: nanoseconds(stat.atimeSec, stat.atimeNsec),
    changed: nanoseconds(stat.ctimeSec, stat.ctimeNsec),
  }
}

function nanoseconds(seconds: number, rest: number): bigint {
  return BigInt(seconds) * 1_000_000_000n + BigInt(rest)
}

/** Sets all but when it was changed, which is now. */
export function setTimes(path: Buffer, { created, written, accessed }: Omit<FileTimes, 'changed'>): void {
  const value = Buffer.alloc(24)
  for (const [index, time] of [created, written, accessed].entries())
    value.writeBigUInt64BE(fileTimeOf(time), index * 8)
  lsetxattr(path, xattr.times, value)
}

/** Self-relative, as in [MS-DTYP] 2.4.6. */
export function securityOf(path: Buffer): Buffer | undefined {
  // It is EIO, and not ERANGE, where it does not fit.
  return lgetxattr(path, xattr.security, largestDescriptor)
}

export function setSecurity(path: Buffer, descriptor: Buffer): void {
  lsetxattr(path, xattr.security, descriptor)
}

/** A list of FILE_FULL_EA_INFORMATION, of which the last tells its length too. */
export function extendedAttributesOf(path: Buffer): Buffer | undefined {
  const list = lgetxattr(path, xattr.extendedAttributes)
  return list?.length === 0 ? undefined : list
}

/** @param list of which the last entry may say 0 for the next, as Windows wants it; undefined for none */
export function setExtendedAttributes(path: Buffer, list: Buffer | undefined): void {
  if (list !== undefined) {
    lsetxattr(path, xattr.extendedAttributes, withLastLength(list))
    return
  }
  try {
    lremovexattr(path, xattr.extendedAttributes)
  } catch (error) {
    if (!isSystemError(error, 'ENODATA')) throw error
  }
}

function withLastLength(list: Buffer): Buffer {
  const stored = Buffer.from(list)
  let last = 0
  for (let next = stored.readUInt32LE(0); next !== 0 && last + next < stored.length;) {
    last += next
    next = stored.readUInt32LE(last)
  }
  stored.writeUInt32LE(stored.length - last, last)
  return stored
}

/** REPARSE_DATA_BUFFER of [MS-FSCC] 2.1.2. */
export function reparsePointOf(path: Buffer): Buffer | undefined {
  return lgetxattr(path, xattr.reparsePoint)
}

export function setReparsePoint(path: Buffer, point: Buffer): void {
  lsetxattr(path, xattr.reparsePoint, point)
  // The kernel takes it for what it was, finds that it is another kind of file, fails once, and then asks anew.
  try {
    lstatSync(path)
  } catch (error) {
    if (!isEio(error)) throw error
  }
}

function isEio(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EIO'
}

/** The name in 8.3 form, where it has one. */
export function shortNameOf(path: Buffer): Buffer | undefined {
  try {
    return lgetxattr(path, xattr.shortName)
  } catch (error) {
    if (isSystemError(error, 'ENOTSUP', 'EOPNOTSUPP', 'EINVAL', 'ENOENT')) return undefined
    throw error
  }
}

export function setShortName(path: Buffer, name: Buffer): void {
  lsetxattr(path, xattr.shortName, name)
}

/** Names of its further streams, sorted. */
export function streamsOf(path: Buffer): readonly string[] {
  const list = streamList(path)
  if (list === undefined || list.length === 0) return []
  return list
    .toString()
    .split('\0')
    .filter((name) => name !== '')
    .toSorted()
}

function streamList(path: Buffer): Buffer | undefined {
  try {
    return lgetxattr(path, xattr.streams)
  } catch (error) {
    if (isSystemError(error, 'ENOTSUP', 'EOPNOTSUPP', 'EINVAL')) return undefined
    throw error
  }
}

/** The path of a further stream. */
export function streamPath(path: Buffer, stream: string): Buffer {
  return Buffer.concat([path, Buffer.from(`:${stream}`)])
}
