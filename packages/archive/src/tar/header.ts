/**
 * One entry of a tar, with PAX and GNU extensions already resolved.
 *
 * Names and link targets stay bytes: a name in a layer is whatever the filesystem allowed, not necessarily UTF-8.
 */

/** `other` is anything that is no file, link, device or directory, such as GNU volume labels; see `typeflag`. */
export type TarEntryType = 'file' | 'hardlink' | 'symlink' | 'char' | 'block' | 'directory' | 'fifo' | 'other'

/** A run of bytes of a sparse file that the archive holds; everything between extents is zero. */
export interface SparseExtent {
  readonly offset: number
  readonly length: number
}

export interface TarHeader {
  readonly name: Buffer
  readonly type: TarEntryType
  /** The byte in the header, 0 for what old archives wrote for files. */
  readonly typeflag: number
  /** Permission bits with setuid, setgid and sticky; file type bits too where the writer put them. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Bytes that follow as payload; 0 for links, devices and directories whatever the header claims. */
  readonly size: number
  /** Bytes of the file once extracted; more than `size` only for sparse files. */
  readonly realSize: number
  /** Nanoseconds since the epoch. */
  readonly mtimeNs: bigint
  readonly atimeNs: bigint | undefined
  /** Target of a symlink, archive name for a hard link, else empty. */
  readonly linkName: Buffer
  readonly devMajor: number
  readonly devMinor: number
  readonly xattrs: readonly XattrRecord[]
  /** The PAX records of the entry alone, in their order, those that are applied included. */
  readonly pax: readonly PaxRecord[]
  /** Where the payload belongs in a sparse file, in order. */
  readonly sparse: readonly SparseExtent[] | undefined
  /** Byte offset in the archive of this entry's first block, extension headers included. */
  readonly offset: number
}

export type XattrRecord = readonly [name: string, value: Buffer]

export interface PaxRecord {
  readonly key: string
  readonly value: Buffer
}

/** A header while its blocks and records are being read. */
export type HeaderDraft = { -readonly [Key in keyof TarHeader]: TarHeader[Key] }

export const blockSize = 512

/** Bytes from the end of `size` bytes of payload to the next block. */
export function paddingOf(size: number): number {
  return (blockSize - (size % blockSize)) % blockSize
}

const types: ReadonlyMap<number, TarEntryType> = new Map([
  [0, 'file'],
  [0x30, 'file'],
  [0x31, 'hardlink'],
  [0x32, 'symlink'],
  [0x33, 'char'],
  [0x34, 'block'],
  [0x35, 'directory'],
  [0x36, 'fifo'],
  [0x53, 'file'],
])

/** Typeflags that change how the parser goes on. */
export const typeflag = {
  regularOld: 0,
  regular: 0x30,
  hardlink: 0x31,
  symlink: 0x32,
  char: 0x33,
  block: 0x34,
  directory: 0x35,
  fifo: 0x36,
  /** PAX records for the next entry, and for all that follow. */
  pax: 0x78,
  paxGlobal: 0x67,
  gnuLongName: 0x4c,
  gnuLongLink: 0x4b,
  gnuSparse: 0x53,
} as const

export function entryTypeOf(flag: number): TarEntryType {
  return types.get(flag) ?? 'other'
}

/** Only files (and types nobody knows) are followed by payload; readers skip nothing for the rest. */
export function hasPayload(type: TarEntryType): boolean {
  return type === 'file' || type === 'other'
}
