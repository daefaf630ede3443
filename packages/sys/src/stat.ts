import { AT_FDCWD, AT_SYMLINK_NOFOLLOW } from './constants.ts'
import { checked, cstring, libc, type Path } from './libc.ts'

/** What statx(2) says of a file. Plain numbers but for the inode, which filesystems use all 64 bits of. */
export interface Stat {
  /** Type and permissions, see `S`. */
  readonly mode: number
  readonly nlink: number
  readonly uid: number
  readonly gid: number
  /** Bytes; exact up to 2⁵³. */
  readonly size: number
  /** 512-byte units. */
  readonly blocks: number
  readonly ino: bigint
  /** major × 2³² + minor: only for comparing. */
  readonly dev: number
  readonly rdevMajor: number
  readonly rdevMinor: number
  /** Seconds since the epoch, negative before it. */
  readonly atimeSec: number
  readonly atimeNsec: number
  readonly mtimeSec: number
  readonly mtimeNsec: number
  readonly ctimeSec: number
  readonly ctimeNsec: number
  /** The mount's id in the mount table; `undefined` before Linux 5.8. */
  readonly mountId: number | undefined
  /** The path is where a filesystem is mounted; `undefined` before Linux 5.8. */
  readonly mountRoot: boolean | undefined
}

const buffer = Buffer.alloc(256)
const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length)
const basicStats = 0x7ff
const statxMountId = 0x1000
const attributeMountRoot = 0x2000

/** statx(2). Follows a symlink unless `AT_SYMLINK_NOFOLLOW` is given; an empty path with `AT_EMPTY_PATH` is `dirfd`. */
export function statx(dirfd: number, path: Path, flags = 0): Stat {
  checked(libc('statx').statx(dirfd, cstring(path), flags, basicStats | statxMountId, buffer), 'statx', path)
  const known = view.getUint32(56, true) & attributeMountRoot
  return {
    nlink: view.getUint32(16, true),
    uid: view.getUint32(20, true),
    gid: view.getUint32(24, true),
    mode: view.getUint16(28, true),
    ino: view.getBigUint64(32, true),
    size: unsigned(40),
    blocks: unsigned(48),
    atimeSec: seconds(64),
    atimeNsec: view.getUint32(72, true),
    ctimeSec: seconds(96),
    ctimeNsec: view.getUint32(104, true),
    mtimeSec: seconds(112),
    mtimeNsec: view.getUint32(120, true),
    rdevMajor: view.getUint32(128, true),
    rdevMinor: view.getUint32(132, true),
    dev: view.getUint32(136, true) * 0x1_0000_0000 + view.getUint32(140, true),
    mountId: (view.getUint32(0, true) & statxMountId) === 0 ? undefined : unsigned(144),
    mountRoot: known === 0 ? undefined : (view.getUint32(8, true) & attributeMountRoot) !== 0,
  }
}

function unsigned(at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000
}

function seconds(at: number): number {
  return view.getInt32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true)
}

/** `statx` of a path that does not follow a symlink. */
export function lstatx(path: Path): Stat {
  return statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW)
}

/** The device number of mknodat(2), as Linux encodes it. */
export function makedev(major: number, minor: number): bigint {
  const a = BigInt(major)
  const i = BigInt(minor)
  return ((a & 0xfffff000n) << 32n) | ((a & 0xfffn) << 8n) | ((i & 0xffffff00n) << 12n) | (i & 0xffn)
}

/** The major part of a device number. */
export function major(dev: bigint | number): number {
  const d = BigInt(dev)
  return Number(((d >> 32n) & 0xfffff000n) | ((d >> 8n) & 0xfffn))
}

/** The minor part of a device number. */
export function minor(dev: bigint | number): number {
  const d = BigInt(dev)
  return Number(((d >> 12n) & 0xffffff00n) | (d & 0xffn))
}
