/**
 * The mount API of Linux 5.2 and later: a filesystem is configured through a descriptor, option by option, so that no
 * page limits the options and errors come with the kernel's own words.
 */
import { closeSync, readSync } from 'node:fs'
import { AT_EMPTY_PATH, AT_FDCWD, MOVE_MOUNT, OPEN_TREE } from './constants.ts'
import { SystemError } from './error.ts'
import { checked, cstring, lastError, libc, type Path } from './libc.ts'

const cloexec = 1
const command = { flag: 0, string: 1, fd: 5, create: 6, reconfigure: 7 } as const

/** fsopen(2): a descriptor on which to configure a filesystem. @throws SystemError ENODEV for an unknown type */
export function fsopen(type: string): number {
  return checked(libc('fsopen').fsopen(cstring(type), cloexec), 'fsopen', type)
}

function fsconfig(fd: number, what: number, key: string | null, value: Path | null, extra: number): void {
  const result = libc('fsconfig').fsconfig(
    fd,
    what,
    key === null ? null : cstring(key),
    value === null ? null : cstring(value),
    extra,
  )
  if (result === -1) throw explained('fsconfig', fd, key ?? undefined)
}

/** Sets `key=value`; the value has at most 255 bytes. @throws SystemError EINVAL with the kernel's explanation */
export function fsconfigString(fd: number, key: string, value: Path): void {
  fsconfig(fd, command.string, key, value, 0)
}

/** Sets an option that has no value. */
export function fsconfigFlag(fd: number, key: string): void {
  fsconfig(fd, command.flag, key, null, 0)
}

/** Sets an option to an open file. */
export function fsconfigFd(fd: number, key: string, value: number): void {
  fsconfig(fd, command.fd, key, null, value)
}

/** Makes the superblock from what was configured. */
export function fsconfigCreate(fd: number): void {
  fsconfig(fd, command.create, null, null, 0)
}

/** Applies what was configured to an existing superblock. */
export function fsconfigReconfigure(fd: number): void {
  fsconfig(fd, command.reconfigure, null, null, 0)
}

/** The error of the call just made, with what the kernel wrote to the descriptor about it. */
function explained(syscall: string, fd: number, path?: string): SystemError {
  const errno = lastError(syscall)
  return new SystemError(errno, { syscall, path, note: kernelLog(fd) })
}

/** What the kernel wrote about a failure: lines such as `e overlay: No changes allowed …`. */
function kernelLog(fd: number): string | undefined {
  const line = Buffer.alloc(4096)
  const lines: string[] = []
  try {
    // One message per read. A descriptor that is no filesystem context reads nothing.
    for (let length = readSync(fd, line); length > 0; length = readSync(fd, line)) {
      lines.push(
        line
          .toString('utf8', 0, length)
          .replace(/^[ewi] /, '')
          .trim(),
      )
    }
  } catch {
    // ENODATA: the log is empty.
  }
  return lines.length === 0 ? undefined : lines.join('; ')
}

/** fsmount(2): a detached mount of the configured filesystem. `attributes` are bits of `MOUNT_ATTR`. */
export function fsmount(fd: number, attributes = 0): number {
  const mounted = libc('fsmount').fsmount(fd, cloexec, attributes)
  if (mounted === -1) throw explained('fsmount', fd)
  return mounted
}

/** fspick(2): a descriptor on which to reconfigure the filesystem that is mounted at `path`. */
export function fspick(dirfd: number, path: Path, flags = 0): number {
  return checked(libc('fspick').fspick(dirfd, cstring(path), flags | cloexec), 'fspick', path)
}

/** move_mount(2): attaches a detached mount at `target`, which is not followed. */
export function moveMount(mountFd: number, target: Path): void {
  const c = libc('move_mount')
  const result = c.move_mount(mountFd, '', AT_FDCWD, cstring(target), MOVE_MOUNT.F_EMPTY_PATH)
  checked(result, 'move_mount', target)
}

/** move_mount(2) in full, with bits of `MOVE_MOUNT`. */
export function moveMountAt(
  fromDirfd: number,
  fromPath: Path,
  toDirfd: number,
  toPath: Path,
  flags: number,
): void {
  const c = libc('move_mount')
  const result = c.move_mount(fromDirfd, cstring(fromPath), toDirfd, cstring(toPath), flags)
  checked(result, 'move_mount', fromPath, toPath)
}

/** open_tree(2): with `OPEN_TREE.CLONE`, a detached copy of the mount at `path`. */
export function openTree(dirfd: number, path: Path, flags: number): number {
  const c = libc('open_tree')
  const result = c.open_tree(dirfd, cstring(path), flags | OPEN_TREE.CLOEXEC)
  return checked(result, 'open_tree', path)
}

/** What `mountSetattr` changes. */
export interface MountAttributes {
  /** Bits of `MOUNT_ATTR` to set and to clear. */
  readonly set?: number | undefined
  readonly clear?: number | undefined
  /** `MS.PRIVATE`, `MS.SHARED`, `MS.SLAVE` or `MS.UNBINDABLE`. */
  readonly propagation?: number | undefined
  /** A user namespace's descriptor, with `MOUNT_ATTR.IDMAP`. */
  readonly userNamespace?: number | undefined
}

/** mount_setattr(2). An empty path is the mount that `dirfd` is. */
export function mountSetattr(dirfd: number, path: Path, flags: number, attributes: MountAttributes): void {
  const record = Buffer.alloc(32)
  record.writeBigUInt64LE(BigInt(attributes.set ?? 0), 0)
  record.writeBigUInt64LE(BigInt(attributes.clear ?? 0), 8)
  record.writeBigUInt64LE(BigInt(attributes.propagation ?? 0), 16)
  record.writeBigUInt64LE(BigInt(attributes.userNamespace ?? 0), 24)
  const how = path.length === 0 ? flags | AT_EMPTY_PATH : flags
  const c = libc('mount_setattr')
  const result = c.mount_setattr(dirfd, cstring(path), how, record, record.length)
  checked(result, 'mount_setattr', path)
}

/** An option is `key` or `[key, value]`; a number is an open file. */
export type FilesystemOption = string | readonly [key: string, value: Path | number]

/**
 * Configures and makes a filesystem, its options in order, and mounts it nowhere: it is there as long as the descriptor that is
 * returned, which is as one of O_PATH.
 *
 * @throws SystemError with the kernel's explanation where it gave one
 */
export function openFilesystem(type: string, options: readonly FilesystemOption[], attributes = 0): number {
  const fd = fsopen(type)
  try {
    for (const option of options) {
      if (typeof option === 'string') fsconfigFlag(fd, option)
      else if (typeof option[1] === 'number') fsconfigFd(fd, option[0], option[1])
      else fsconfigString(fd, option[0], option[1])
    }
    fsconfigCreate(fd)
    return fsmount(fd, attributes)
  } finally {
    closeSync(fd)
  }
}

/** `openFilesystem`, attached at `target`. */
export function mountFilesystem(
  type: string,
  target: Path,
  options: readonly FilesystemOption[],
  attributes = 0,
): void {
  const mounted = openFilesystem(type, options, attributes)
  try {
    moveMount(mounted, target)
  } finally {
    closeSync(mounted)
  }
}
