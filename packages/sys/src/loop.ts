/** Loop devices: files as block devices (loop(4)). */
import { closeSync, openSync, readdirSync, readFileSync, realpathSync } from 'node:fs'
import { AT_FDCWD, O, S } from './abi.ts'
import { isSystemError } from './error.ts'
import { ioctl } from './file.ts'
import { openat } from './open.ts'
import { makedev } from './stat.ts'
import { mknodat } from './tree.ts'

const LOOP_CTL_GET_FREE = 0x4c82
const LOOP_CONFIGURE = 0x4c0a
const LOOP_CLR_FD = 0x4c01
const flagReadonly = 1
const flagAutoclear = 4
const loopMajor = 7

/** struct loop_config of linux/loop.h: fd, block_size, then struct loop_info64 at 8, 304 bytes in all. */
const config = { length: 304, fd: 0, offset: 8 + 24, flags: 8 + 52, name: 8 + 56, nameLength: 64 } as const

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

/** Attaches a file to a free loop device, making its node where nobody else does. */
export function attachLoop(file: string, options: LoopOptions = {}): LoopDevice {
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
  const control = openSync('/dev/loop-control', 'r+')
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
  file: string,
  options: LoopOptions,
): LoopDevice {
  const record = Buffer.alloc(config.length)
  const flags =
    (options.readonly === true ? flagReadonly : 0) | (options.autoclear === true ? flagAutoclear : 0)
  record.writeUInt32LE(backing, config.fd)
  record.writeBigUInt64LE(BigInt(options.offset ?? 0), config.offset)
  record.writeUInt32LE(flags, config.flags)
  record.write(file, config.name, config.nameLength - 1)
  const fd = openat(AT_FDCWD, device, access)
  try {
    ioctl(fd, LOOP_CONFIGURE, record)
  } finally {
    // With autoclear the device would go with this descriptor, before anybody could mount it.
    if (options.autoclear !== true) closeSync(fd)
  }
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

/** Every loop device that is attached to `file`. */
export function findLoopDevices(file: string): string[] {
  const wanted = realpathSync(file)
  return readdirSync('/sys/block')
    .filter((name) => /^loop\d+$/.test(name) && backingFile(name) === wanted)
    .map((name) => `/dev/${name}`)
}

function backingFile(name: string): string | undefined {
  try {
    return readFileSync(`/sys/block/${name}/loop/backing_file`, 'utf8').trimEnd()
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENXIO')) return undefined
    throw error
  }
}
