import { AT_FDCWD, AT_SYMLINK_NOFOLLOW } from './abi.ts'
import { checked, cstring, libc, type Path } from './libc.ts'

/** What statx(2) says of a file. Plain numbers but for the inode, which filesystems use all 64 bits of. */
export interface Stat {
  readonly mode: number
  readonly nlink: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  /** 512-byte units. */
  readonly blocks: number
  readonly ino: bigint
  /** major × 2³² + minor: only for comparing. */
  readonly dev: number
  readonly rdevMajor: number
  readonly rdevMinor: number
  readonly atimeSec: number
  readonly atimeNsec: number
  readonly mtimeSec: number
  readonly mtimeNsec: number
  readonly ctimeSec: number
  readonly ctimeNsec: number
  /** The path is where a filesystem is mounted; `undefined` before Linux 5.8. */
  readonly mountRoot: boolean | undefined
}

const buffer = Buffer.alloc(256)
const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length)
const basicStats = 0x7ff
const attributeMountRoot = 0x2000

/** statx(2). Follows a symlink unless `AT_SYMLINK_NOFOLLOW` is given; an empty path with `AT_EMPTY_PATH` is `dirfd`. */
export function statx(dirfd: number, path: Path, flags = 0): Stat {
  checked(libc('statx').statx(dirfd, cstring(path), flags, basicStats, buffer), 'statx', path)
  const known = view.getUint32(56, true) & attributeMountRoot
  return {
    nlink: view.getUint32(16, true),
    uid: view.getUint32(20, true),
    gid: view.getUint32(24, true),
    mode: view.getUint16(28, true),
    ino: view.getBigUint64(32, true),
    size: view.getUint32(40, true) + view.getUint32(44, true) * 0x1_0000_0000,
    blocks: view.getUint32(48, true) + view.getUint32(52, true) * 0x1_0000_0000,
    atimeSec: seconds(64),
    atimeNsec: view.getUint32(72, true),
    ctimeSec: seconds(96),
    ctimeNsec: view.getUint32(104, true),
    mtimeSec: seconds(112),
    mtimeNsec: view.getUint32(120, true),
    rdevMajor: view.getUint32(128, true),
    rdevMinor: view.getUint32(132, true),
    dev: view.getUint32(136, true) * 0x1_0000_0000 + view.getUint32(140, true),
    mountRoot: known === 0 ? undefined : (view.getUint32(8, true) & attributeMountRoot) !== 0,
  }
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

export function major(dev: bigint): number {
  return Number(((dev >> 32n) & 0xfffff000n) | ((dev >> 8n) & 0xfffn))
}

export function minor(dev: bigint): number {
  return Number(((dev >> 12n) & 0xffffff00n) | (dev & 0xffn))
}
