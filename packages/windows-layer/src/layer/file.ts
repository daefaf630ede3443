/** A file of a Windows layer, as its tar tells of it: fields of an ordinary tar, and PAX records of Microsoft's. */
import { formatTime, type PaxRecord, paxTime, type TarEntry, type TarHeader } from '@graphdriver/archive'
import type { ExtendedAttribute } from './extended-attributes.ts'
import { invalidLayer, unsupportedLayer } from './invalid.ts'
import type { ReparsePoint } from './reparse-point.ts'
import { descriptorOf } from './sddl.ts'

/** FILE_ATTRIBUTE_*. */
export const fileAttribute = {
  readonly: 0x1,
  hidden: 0x2,
  system: 0x4,
  directory: 0x10,
  archive: 0x20,
  sparse: 0x200,
  reparsePoint: 0x400,
} as const

export interface WindowsFile {
  /** Relative to the layer, with `/`: `Files/Windows/notepad.exe`. */
  readonly name: string
  /** Bits of `fileAttribute` and others of Windows's. */
  readonly attributes: number
  /** Nanoseconds since 1970; Windows counts hundreds of them. */
  readonly created: bigint
  readonly written: bigint
  readonly accessed: bigint
  readonly changed: bigint
  /** A self-relative security descriptor; absent where the tar leaves it to the directory. */
  readonly security: Buffer | undefined
  readonly extendedAttributes: readonly ExtendedAttribute[]
  readonly reparsePoint: ReparsePoint | undefined
  /** Bytes of its unnamed stream. */
  readonly size: number
}

const key = {
  attributes: 'MSWINDOWS.fileattr',
  security: 'MSWINDOWS.rawsd',
  legacySecurity: 'MSWINDOWS.sd',
  mountPoint: 'MSWINDOWS.mountpoint',
  extendedAttribute: 'MSWINDOWS.xattr.',
  created: 'LIBARCHIVE.creationtime',
  accessed: 'atime',
  changed: 'ctime',
} as const

/** Whether an entry can only be of a Windows layer: such a tar says with its first one what it is. */
export function isWindowsHeader({ pax }: TarHeader): boolean {
  return pax.some(({ key: name }) => name.startsWith('MSWINDOWS.') || name === key.created)
}

/** @throws GD_ARCHIVE_INVALID, GD_ARCHIVE_UNSUPPORTED */
export function fileOf(header: TarHeader, name: string): WindowsFile {
  const records = new Map(header.pax.map((record) => [record.key, record.value]))
  const time = (of: string): bigint => {
    const value = records.get(of)
    return value === undefined ? header.mtimeNs : (paxTime(value) ?? bad(name, of))
  }
  const isDirectory = header.type === 'directory'
  return {
    name,
    attributes: attributesOf(records.get(key.attributes), name, isDirectory),
    created: time(key.created),
    written: header.mtimeNs,
    accessed: time(key.accessed),
    changed: time(key.changed),
    security: securityOf(records, name),
    extendedAttributes: header.pax
      .filter((record) => record.key.startsWith(key.extendedAttribute))
      .map((record) => [
        record.key.slice(key.extendedAttribute.length),
        base64(record.value, name, record.key),
      ]),
    reparsePoint: header.type === 'symlink' ? reparsePointOf(header, records.has(key.mountPoint)) : undefined,
    size: header.type === 'file' ? header.size : 0,
  }
}

/** In bytes, or as text, as before 2016. */
function securityOf(records: ReadonlyMap<string, Buffer>, name: string): Buffer | undefined {
  if (records.has(key.security)) return base64(records.get(key.security), name, key.security)
  const text = records.get(key.legacySecurity)?.toString()
  if (text === undefined) return undefined
  const descriptor = descriptorOf(text)
  if (descriptor !== undefined) return descriptor
  const why =
    'which is no security descriptor, or means somebody of another machine; convert the image with a newer docker'
  throw unsupportedLayer(`its PAX record ${key.legacySecurity} is '${text}', ${why}`, name)
}

function attributesOf(value: Buffer | undefined, name: string, isDirectory: boolean): number {
  if (value === undefined) return isDirectory ? fileAttribute.directory : 0
  const text = value.toString('latin1')
  const attributes = Number(text)
  if (!/^\d{1,10}$/.test(text) || attributes > 0xffff_ffff) return bad(name, key.attributes)
  return attributes
}

function reparsePointOf({ linkName }: TarHeader, isMountPoint: boolean): ReparsePoint {
  return { kind: isMountPoint ? 'mount-point' : 'symlink', target: linkName.toString() }
}

function base64(value: Buffer | undefined, name: string, of: string): Buffer {
  const text = value?.toString('latin1') ?? ''
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : bad(name, of)
}

function bad(name: string, of: string): never {
  throw invalidLayer(`its PAX record ${of} has a malformed value`, name)
}

/** Type bits of the mode, as Go writes them: a mount point is a link and a directory. */
const typeBits = { file: 0o100000, directory: 0o040000, link: 0o120000 } as const

/** The entry that says all of a file, but for its further streams. */
export function entryOf(file: WindowsFile): TarEntry {
  const { reparsePoint, attributes, extendedAttributes, security } = file
  const isDirectory = (attributes & fileAttribute.directory) !== 0
  const records: PaxRecord[] = [
    record(key.attributes, String(attributes)),
    record(key.created, formatTime(file.created)),
    ...extendedAttributes.map(([name, value]) =>
      record(key.extendedAttribute + name, value.toString('base64')),
    ),
  ]
  if (security !== undefined) records.push(record(key.security, security.toString('base64')))
  if (reparsePoint?.kind === 'mount-point') records.push(record(key.mountPoint, '1'))
  const directory = isDirectory ? typeBits.directory : 0
  const mode = reparsePoint === undefined ? directory || typeBits.file : directory | typeBits.link
  const base = entryFor(file, file.name, mode, records)
  if (reparsePoint !== undefined)
    return { ...base, type: 'symlink', linkName: Buffer.from(reparsePoint.target) }
  return isDirectory ? { ...base, type: 'directory' } : { ...base, size: file.size }
}

/** The entry of a further stream, which has its file's times and no attributes of its own. */
export function streamEntryOf(file: WindowsFile, stream: string, size: number): TarEntry {
  return { ...entryFor(file, `${file.name}:${stream}`, typeBits.file, []), size }
}

function entryFor(
  { written, accessed, changed }: WindowsFile,
  name: string,
  mode: number,
  records: readonly PaxRecord[],
): TarEntry {
  const times = [record(key.accessed, formatTime(accessed)), record(key.changed, formatTime(changed))]
  return { ...plainEntry(name), mode, mtimeNs: written, records: [...records, ...times] }
}

/** An entry of which nothing but the name is said. */
export function plainEntry(name: string): TarEntry {
  return {
    name: Buffer.from(name),
    type: 'file',
    mode: 0,
    uid: 0,
    gid: 0,
    size: 0,
    mtimeNs: 0n,
    linkName: Buffer.alloc(0),
    devMajor: 0,
    devMinor: 0,
    xattrs: [],
  }
}

function record(name: string, value: string): PaxRecord {
  return { key: name, value: Buffer.from(value) }
}
