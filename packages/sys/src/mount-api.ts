/**
 * The mount API of Linux 5.2 and later: a filesystem is configured through a descriptor, option by option, so that no
 * page limits the options and errors come with the kernel's own words.
 */
import { closeSync, readSync } from 'node:fs'
import { AT_EMPTY_PATH, AT_FDCWD, sharedCallNumber, OPEN_TREE } from './abi.ts'
import { SystemError } from './error.ts'
import { checked, cstring, lastError, libc, type Path } from './libc.ts'

const cloexec = 1
const command = { flag: 0, string: 1, fd: 5, create: 6, reconfigure: 7 } as const
const moveFromEmptyPath = 0x4

/** fsopen(2): a descriptor on which to configure a filesystem. @throws SystemError ENODEV for an unknown type */
export function fsopen(type: string): number {
  return checked(libc('fsopen').callPl(sharedCallNumber.fsopen, type, cloexec), 'fsopen', type)
}

function fsconfig(fd: number, what: number, key: string | null, value: string | null, extra: number): void {
  const result = libc('fsconfig').callIipppi(sharedCallNumber.fsconfig, fd, what, key, value, extra)
  if (result === -1) throw explained('fsconfig', fd, key ?? undefined)
}

/** Sets `key=value`. */
export function fsconfigString(fd: number, key: string, value: string): void {
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
    for (;;)
      lines.push(
        line
          .toString('utf8', 0, readSync(fd, line))
          .replace(/^[ewi] /, '')
          .trim(),
      )
  } catch {
    // ENODATA: the log is empty.
  }
  return lines.length === 0 ? undefined : lines.join('; ')
}

/** fsmount(2): a detached mount of the configured filesystem. `attributes` are bits of `MOUNT_ATTR`. */
export function fsmount(fd: number, attributes = 0): number {
  const mounted = libc('fsmount').callIll(sharedCallNumber.fsmount, fd, cloexec, attributes)
  if (mounted === -1) throw explained('fsmount', fd)
  return mounted
}

/** move_mount(2): attaches a detached mount at `target`. */
export function moveMount(mountFd: number, target: Path): void {
  const c = libc('move_mount')
  const path = cstring(target)
  const result = c.callIpipi(sharedCallNumber.moveMount, mountFd, '', AT_FDCWD, path, moveFromEmptyPath)
  checked(result, 'move_mount', target)
}

/** open_tree(2): with `OPEN_TREE.CLONE`, a detached copy of the mount at `path`. */
export function openTree(dirfd: number, path: Path, flags: number): number {
  const c = libc('open_tree')
  const result = c.callIpil(sharedCallNumber.openTree, dirfd, cstring(path), flags | OPEN_TREE.CLOEXEC, 0)
  return checked(result, 'open_tree', path)
}

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
  const result = c.callIpipl(sharedCallNumber.mountSetattr, dirfd, cstring(path), how, record, record.length)
  checked(result, 'mount_setattr', path)
}

/**
 * Configures, makes and attaches a filesystem in one go. Each option is `key` or `[key, value]`, in order.
 *
 * @throws SystemError with the kernel's explanation where it gave one
 */
export function mountFilesystem(
  type: string,
  target: Path,
  options: readonly (string | readonly [key: string, value: string])[],
  attributes = 0,
): void {
  const fd = fsopen(type)
  try {
    for (const option of options) {
      if (typeof option === 'string') fsconfigFlag(fd, option)
      else fsconfigString(fd, option[0], option[1])
    }
    fsconfigCreate(fd)
    const mounted = fsmount(fd, attributes)
    try {
      moveMount(mounted, target)
    } finally {
      closeSync(mounted)
    }
  } finally {
    closeSync(fd)
  }
}
