/** What devicemapper needs of a host. */
import { existsSync } from 'node:fs'
import { findCommand, hasCapability, inUserNamespace, isSystemError, whyUnwritable } from '@graphdriver/sys'
import { deviceMapperVersion, hasTarget } from '@graphdriver/sys/devicemapper'
import { defaultFilesystem } from './filesystem.ts'
import { madeByLvm } from './lvm.ts'
import type { DeviceMapperOptions } from './options.ts'

export interface DeviceMapperHost {
  readonly supported: true
  readonly version: string
  /** Whether a device that is open can be told to go with its last user. */
  readonly deferredRemoval: boolean
}

export interface DeviceMapperRefusal {
  readonly supported: false
  readonly code:
    | 'not-permitted'
    | 'no-device-mapper'
    | 'no-thin-pool'
    | 'no-loop'
    | 'no-program'
    | 'loop-in-production'
    | 'not-writable'
  readonly reason: string
  readonly hint: string
}

/**
 * Leaves nothing behind.
 *
 * @param home may not exist yet
 * @param readOnly nothing is to be made or written there
 */
export function examineHost(
  home: string,
  options: DeviceMapperOptions,
  readOnly = false,
): DeviceMapperHost | DeviceMapperRefusal {
  if (inUserNamespace() || !hasCapability('CAP_SYS_ADMIN'))
    return refuse('not-permitted', 'making and mounting devices is root’s', 'run as root')
  let version: readonly [major: number, minor: number, patch: number]
  try {
    version = deviceMapperVersion()
    if (!hasTarget('thin-pool'))
      return refuse('no-thin-pool', 'the kernel has no thin pools', 'load the module: modprobe dm_thin_pool')
  } catch (error) {
    if (!isSystemError(error)) throw error
    const hint = 'load the module: modprobe dm_mod'
    return refuse('no-device-mapper', `the device mapper does not answer: ${error.message}`, hint)
  }
  const [major, minor] = version
  const host: DeviceMapperHost = {
    supported: true,
    version: version.join('.'),
    deferredRemoval: major > 4 || (major === 4 && minor >= 27),
  }
  if (readOnly) return host
  const program = `mkfs.${options.filesystem ?? defaultFilesystem()}`
  if (findCommand(program) === undefined)
    return refuse('no-program', `${program} is not installed`, 'install it (e2fsprogs, xfsprogs)')
  if (usesFiles(home, options)) {
    if (!existsSync('/dev/loop-control'))
      return refuse('no-loop', 'there are no loop devices', 'load the module, modprobe loop, or give a pool')
    if (process.env['NODE_ENV'] === 'production' && !options.loopForced)
      return refuse(
        'loop-in-production',
        `NODE_ENV is production, and ${loopWarning}`,
        'give a pool (dm.thinpooldev, dm.directlvm_device), or insist: dm.loop=force',
      )
  }
  const unwritable = whyUnwritable(home)
  return unwritable === undefined ? host : refuse('not-writable', unwritable, 'choose another data root')
}

export const loopWarning =
  'a pool in files beside the layers is slow, and loses what the filesystem below it loses: it is for trying out'

/** Whether the pool is in files: no other is asked for, and none was made before. */
export function usesFiles(home: string, { thinPool, dataDevice, directLvm }: DeviceMapperOptions): boolean {
  return (thinPool ?? dataDevice ?? directLvm) === undefined && !madeByLvm(home)
}

function refuse(code: DeviceMapperRefusal['code'], reason: string, hint: string): DeviceMapperRefusal {
  return { supported: false, code, reason, hint }
}
