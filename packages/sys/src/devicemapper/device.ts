/**
 * Devices of the device mapper, by the ioctls of its control node: no program, no udev. Where udev runs, it sees the same
 * events as ever and makes its links; nothing here waits for it or depends on them.
 */
import { closeSync } from 'node:fs'
import { O } from '../abi.ts'
import { AT_FDCWD, S } from '../constants.ts'
import { isSystemError, SystemError } from '../error.ts'
import { ioctl } from '../file.ts'
import { openat } from '../open.ts'
import { major, makedev, minor } from '../stat.ts'
import { mknodat } from '../tree.ts'
import {
  type Answer,
  decodeAnswer,
  decodeNames,
  decodeTargets,
  encodeMessage,
  encodeRequest,
  encodeTargets,
  FLAG,
  type Request,
  type Target,
} from './request.ts'

const control = '/dev/mapper/control'

/** `_IOWR(0xfd, number, struct dm_ioctl)`. */
const COMMAND = {
  VERSION: 0xc138fd00,
  LIST_DEVICES: 0xc138fd02,
  DEV_CREATE: 0xc138fd03,
  DEV_REMOVE: 0xc138fd04,
  DEV_RENAME: 0xc138fd05,
  DEV_SUSPEND: 0xc138fd06,
  DEV_STATUS: 0xc138fd07,
  TABLE_LOAD: 0xc138fd09,
  TABLE_STATUS: 0xc138fd0c,
  TARGET_MSG: 0xc138fd0e,
  GET_TARGET_VERSION: 0xc138fd11,
} as const

type Command = keyof typeof COMMAND

const roomAtFirst = 4096
const mostRoom = 16 * 1024 * 1024

/** @throws SystemError with the command and the device in its message */
function call(command: Command, request: Request): Buffer {
  const { name } = request
  const fd = openat(AT_FDCWD, control, O.RDWR)
  try {
    for (let room = request.room ?? 0; ; room *= 4) {
      const buffer = encodeRequest({ ...request, room })
      ioctl(fd, COMMAND[command], buffer)
      if ((decodeAnswer(buffer).flags & FLAG.BUFFER_FULL) === 0 || room === 0 || room > mostRoom)
        return buffer
    }
  } catch (error) {
    if (!(error instanceof SystemError)) throw error
    throw new SystemError(-error.errno, { syscall: 'ioctl', path: name, note: `device mapper, ${command}` })
  } finally {
    closeSync(fd)
  }
}

/** The device mapper's own version. @throws SystemError ENOENT or ENODEV where the kernel has none, EACCES, EPERM */
export function deviceMapperVersion(): Answer['version'] {
  return decodeAnswer(call('VERSION', {})).version
}

/**
 * Whether the kernel has a sort of target, or a module with it, which is loaded.
 *
 * @returns true where a kernel before Linux 5.4 cannot tell
 */
export function hasTarget(type: string): boolean {
  try {
    call('GET_TARGET_VERSION', { name: type, room: roomAtFirst })
    return true
  } catch (error) {
    if (isSystemError(error, 'EINVAL')) return false
    if (isSystemError(error, 'ENOTTY')) return true
    throw error
  }
}

/** The names of all devices. */
export function listDevices(): readonly string[] {
  return decodeNames(call('LIST_DEVICES', { room: roomAtFirst }))
}

export interface DeviceState {
  /** As in `st_rdev`. */
  readonly device: bigint
  /** By how many it is open: mounts, other devices, descriptors. */
  readonly openCount: number
  /** It goes when nobody has it open any more. */
  readonly removing: boolean
  /** It has a table. */
  readonly active: boolean
  /** Whoever uses it waits. */
  readonly suspended: boolean
}

/** @returns undefined when there is no such device */
export function deviceState(name: string): DeviceState | undefined {
  try {
    return stateOf(call('DEV_STATUS', { name }))
  } catch (error) {
    if (isSystemError(error, 'ENXIO')) return undefined
    throw error
  }
}

function stateOf(buffer: Buffer): DeviceState {
  const { device, openCount, flags } = decodeAnswer(buffer)
  return {
    device,
    openCount,
    removing: (flags & FLAG.DEFERRED_REMOVE) !== 0,
    active: (flags & FLAG.ACTIVE_PRESENT) !== 0,
    suspended: (flags & FLAG.SUSPEND) !== 0,
  }
}

/**
 * Makes a device and gives it a table, or none of it.
 *
 * @throws SystemError EBUSY when the name is taken; whatever its targets say of the table
 */
export function activateDevice(name: string, targets: readonly Target[]): DeviceState {
  call('DEV_CREATE', { name })
  try {
    loadTable(name, targets)
    return resumeDevice(name)
  } catch (error) {
    removeDevice(name)
    throw error
  }
}

/** Prepares a table, which `resumeDevice` puts in place. */
export function loadTable(name: string, targets: readonly Target[]): void {
  call('TABLE_LOAD', { name, targetCount: targets.length, data: encodeTargets(targets) })
}

/** Lets a device go on, with the table that was loaded meanwhile if any. */
export function resumeDevice(name: string): DeviceState {
  return stateOf(call('DEV_SUSPEND', { name }))
}

/** Holds a device: a filesystem on it is brought to a state that a snapshot may be taken of, and waits. */
export function suspendDevice(name: string): void {
  call('DEV_SUSPEND', { name, flags: FLAG.SUSPEND })
}

/**
 * Removes a device.
 *
 * @param deferred if it is open, it goes with the last that has it open (device mapper 4.27, Linux 3.13)
 * @returns false when there was none. @throws SystemError EBUSY when it is open
 */
export function removeDevice(
  name: string,
  { deferred = false }: { readonly deferred?: boolean } = {},
): boolean {
  try {
    call('DEV_REMOVE', { name, flags: deferred ? FLAG.DEFERRED_REMOVE : 0 })
    return true
  } catch (error) {
    if (isSystemError(error, 'ENXIO')) return false
    throw error
  }
}

/** Lets a device stay that was to go. @returns false when it is gone */
export function keepDevice(name: string): boolean {
  try {
    sendMessage(name, '@cancel_deferred_remove')
    return true
  } catch (error) {
    if (isSystemError(error, 'ENXIO')) return false
    throw error
  }
}

/** @throws SystemError ENXIO when there is no such device, EBUSY when the new name is taken */
export function renameDevice(name: string, newName: string): void {
  call('DEV_RENAME', { name, data: Buffer.from(`${newName}\0`) })
}

/** Tells the targets of a device something, in their words. @throws SystemError, as they answer */
export function sendMessage(name: string, message: string): void {
  call('TARGET_MSG', { name, data: encodeMessage(message) })
}

/**
 * How the targets of a device are.
 *
 * @returns undefined when there is no such device
 */
export function deviceStatus(name: string): readonly Target[] | undefined {
  // Without it, a pool would first write its metadata.
  return targetsOf(name, FLAG.NOFLUSH)
}

/** The table of a device. @returns undefined when there is no such device */
export function deviceTable(name: string): readonly Target[] | undefined {
  return targetsOf(name, FLAG.STATUS_TABLE | FLAG.NOFLUSH)
}

function targetsOf(name: string, flags: number): readonly Target[] | undefined {
  try {
    return decodeTargets(call('TABLE_STATUS', { name, flags, room: roomAtFirst }))
  } catch (error) {
    if (isSystemError(error, 'ENXIO')) return undefined
    throw error
  }
}

/**
 * The node of a device, `/dev/dm-N`, made where nobody else does: the kernel makes it in a devtmpfs, udev where it runs.
 */
export function deviceNode({ device }: Pick<DeviceState, 'device'>): string {
  const number = decodeDevice(device)
  const path = `/dev/dm-${number.minor}`
  try {
    mknodat(AT_FDCWD, path, S.IFBLK | 0o600, makedev(number.major, number.minor))
  } catch (error) {
    if (!isSystemError(error, 'EEXIST')) throw error
  }
  return path
}

/** `MAJOR:MINOR`, as tables name a device. */
export function deviceNumber({ device }: Pick<DeviceState, 'device'>): string {
  const number = decodeDevice(device)
  return `${number.major}:${number.minor}`
}

function decodeDevice(device: bigint): { readonly major: number; readonly minor: number } {
  return { major: major(device), minor: minor(device) }
}
