/** Loop devices: files as block devices (loop(4)). */
import { closeSync, readdirSync, statSync } from 'node:fs'
import { O } from './abi.ts'
import { AT_FDCWD, S } from './constants.ts'
import { isSystemError } from './error.ts'
import { ioctl } from './file.ts'
import type { Path } from './libc.ts'
import { openat } from './open.ts'
import { makedev } from './stat.ts'
import { mknodat } from './tree.ts'

const LOOP_CTL_GET_FREE = 0x4c82
const LOOP_CONFIGURE = 0x4c0a
const LOOP_CLR_FD = 0x4c01
const LOOP_GET_STATUS64 = 0x4c05
const flagReadonly = 1
const flagAutoclear = 4
const loopMajor = 7

/** struct loop_config of linux/loop.h: fd, block_size, then struct loop_info64 at 8, 304 bytes in all. */
const config = { length: 304, fd: 0, offset: 8 + 24, flags: 8 + 52, name: 8 + 56, nameLength: 64 } as const

/** How to attach a file. */
export interface LoopOptions {
  readonly readonly?: boolean | undefined
  /** Bytes to skip at the start of the file. */
  readonly offset?: number | undefined
  /** Detach by itself when the last user (a mount, an open descriptor) goes. */
  readonly autoclear?: boolean | undefined
}

/** An attached loop device. Disposing it detaches it, once. */
export interface LoopDevice extends Disposable {
  /** `/dev/loopN`. */
  readonly path: string
  detach(): void
}

/** Other processes take free devices too: the kernel's answer may be stale by the time it is used. */
const attempts = 64

/**
 * Attaches a file to a free loop device, making its node where nobody else does. Linux 5.8.
 *
 * @throws SystemError EBUSY after 64 lost races, ENOENT without the loop module, EACCES or EPERM without privilege
 */
export function attachLoop(file: Path, options: LoopOptions = {}): LoopDevice {
  const access = options.readonly === true ? O.RDONLY : O.RDWR
  const backing = openat(AT_FDCWD, file, access)
  try {
    for (let attempt = 1; ; attempt++) {
      try {
        return configure(freeDevice(), backing, access, file, options)
      } catch (error) {
        if (!isSystemError(error, 'EBUSY') || attempt === attempts) throw error
      }
    }
  } finally {
    closeSync(backing)
  }
}

function freeDevice(): string {
  const control = openat(AT_FDCWD, '/dev/loop-control', O.RDWR)
  try {
    const number = ioctl(control, LOOP_CTL_GET_FREE)
    const path = `/dev/loop${number}`
    try {
      mknodat(AT_FDCWD, path, S.IFBLK | 0o660, makedev(loopMajor, number))
    } catch (error) {
      if (!isSystemError(error, 'EEXIST')) throw error
    }
    return path
  } finally {
    closeSync(control)
  }
}

function configure(
  device: string,
  backing: number,
  access: number,
  file: Path,
  options: LoopOptions,
): LoopDevice {
  const record = Buffer.alloc(config.length)
  const flags =
    (options.readonly === true ? flagReadonly : 0) | (options.autoclear === true ? flagAutoclear : 0)
  record.writeUInt32LE(backing, config.fd)
  record.writeBigUInt64LE(BigInt(options.offset ?? 0), config.offset)
  record.writeUInt32LE(flags, config.flags)
  // For people to read: nothing depends on it.
  Buffer.from(file).copy(record, config.name, 0, config.nameLength - 1)
  const fd = openat(AT_FDCWD, device, access)
  try {
    ioctl(fd, LOOP_CONFIGURE, record)
  } catch (error) {
    closeSync(fd)
    throw error
  }
  // With autoclear the device would go with this descriptor, before anybody could mount it.
  if (options.autoclear !== true) closeSync(fd)
  let attached = true
  const detach = () => {
    if (!attached) return
    attached = false
    if (options.autoclear === true) closeSync(fd)
    else detachLoop(device)
  }
  return { path: device, detach, [Symbol.dispose]: detach }
}

/** Detaches a loop device. Success when it is not attached; while it is mounted, the kernel does it at the unmount. */
export function detachLoop(device: string): void {
  const fd = openat(AT_FDCWD, device, O.RDONLY)
  try {
    ioctl(fd, LOOP_CLR_FD)
  } catch (error) {
    if (!isSystemError(error, 'ENXIO')) throw error
  } finally {
    closeSync(fd)
  }
}

/**
 * Every loop device that is attached to `file`, whatever name it was attached by.
 *
 * @throws SystemError ENOENT when there is no such file, EACCES without privilege
 */
export function findLoopDevices(file: Path): string[] {
  const { dev, ino } = statSync(file, { bigint: true })
  const info = Buffer.alloc(status.length)
  return readdirSync('/dev')
    .filter((name) => /^loop\d+$/.test(name))
    .map((name) => `/dev/${name}`)
    .filter((device) => {
      if (!readStatus(device, info)) return false
      return info.readBigUInt64LE(status.device) === dev && info.readBigUInt64LE(status.inode) === ino
    })
}

/** struct loop_info64 of linux/loop.h. */
const status = { length: 232, device: 0, inode: 8 } as const

/** False for a device that is not attached, or that is but a node. */
function readStatus(device: string, info: Buffer): boolean {
  let fd: number | undefined
  try {
    fd = openat(AT_FDCWD, device, O.RDONLY | O.NONBLOCK)
    ioctl(fd, LOOP_GET_STATUS64, info)
    return true
  } catch (error) {
    if (isSystemError(error, 'ENXIO', 'ENODEV', 'ENOENT')) return false
    throw error
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}
