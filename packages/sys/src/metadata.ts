/** Calls that set owner, mode and times. */
import { checked, cstring, libc, type Path } from './libc.ts'

/** fchownat(2). */
export function fchownat(dirfd: number, path: Path, uid: number, gid: number, flags = 0): void {
  checked(libc('fchownat').fchownat(dirfd, cstring(path), uid, gid, flags), 'fchownat', path)
}

/** fchown(2). */
export function fchown(fd: number, uid: number, gid: number): void {
  checked(libc('fchown').fchown(fd, uid, gid), 'fchown')
}

/** fchmodat(2). It follows symlinks: Linux has no modes on links. */
export function fchmodat(dirfd: number, path: Path, mode: number): void {
  checked(libc('fchmodat').fchmodat(dirfd, cstring(path), mode), 'fchmodat', path)
}

/** fchmod(2). */
export function fchmod(fd: number, mode: number): void {
  checked(libc('fchmod').fchmod(fd, mode), 'fchmod')
}

const omit = 0x3ffffffe
const nanoseconds = 1_000_000_000n
const timespecs = Buffer.alloc(32)

function writeTime(at: number, time: bigint | undefined): void {
  if (time === undefined) {
    timespecs.writeBigInt64LE(0n, at)
    timespecs.writeBigInt64LE(BigInt(omit), at + 8)
    return
  }
  let seconds = time / nanoseconds
  let rest = time % nanoseconds
  if (rest < 0n) {
    seconds -= 1n
    rest += nanoseconds
  }
  timespecs.writeBigInt64LE(seconds, at)
  timespecs.writeBigInt64LE(rest, at + 8)
}

/** utimensat(2). Times are nanoseconds since the epoch, negative before it; `undefined` leaves one as it is. */
export function utimensat(
  dirfd: number,
  path: Path,
  atimeNs: bigint | undefined,
  mtimeNs: bigint | undefined,
  flags = 0,
): void {
  writeTime(0, atimeNs)
  writeTime(16, mtimeNs)
  checked(libc('utimensat').utimensat(dirfd, cstring(path), timespecs, flags), 'utimensat', path)
}

/** futimens(3), with times as in `utimensat`. */
export function futimens(fd: number, atimeNs: bigint | undefined, mtimeNs: bigint | undefined): void {
  writeTime(0, atimeNs)
  writeTime(16, mtimeNs)
  checked(libc('futimens').utimensat(fd, null, timespecs, 0), 'futimens')
}
