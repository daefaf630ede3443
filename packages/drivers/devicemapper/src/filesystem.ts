/** The filesystems in thin devices. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { GraphDriverError } from '@graphdriver/core'
import {
  contextOption,
  findCommand,
  growExt4,
  growXfs,
  type FilesystemOption,
  kernelVersion,
  MOUNT_ATTR,
  MS,
  mount,
  openFilesystem,
  run,
  unmountAndRemove,
} from '@graphdriver/sys'
import { type FilesystemIdentity, identifyFilesystem } from '@graphdriver/sys/devicemapper'
import type { DeviceMapperOptions } from './options.ts'

export type FilesystemType = 'ext4' | 'xfs'

/** What base devices get where nobody said: as in Docker xfs, if it can be made and mounted here. */
export function defaultFilesystem(): FilesystemType {
  const kernels = /^\s*xfs$/m.test(readFileSync('/proc/filesystems', 'utf8'))
  return kernels && findCommand('mkfs.xfs') !== undefined ? 'xfs' : 'ext4'
}

/**
 * Makes a filesystem. What a pool gives is not cleared (`skip_block_zeroing`), so nothing may be left for later that is
 * thought to be zero.
 *
 * @throws GD_MISSING_PREREQUISITE without the program; CommandError
 */
export async function makeFilesystem(
  type: FilesystemType,
  device: string,
  extra: readonly string[],
): Promise<void> {
  const program = `mkfs.${type}`
  if (findCommand(program) === undefined) {
    const package_ = type === 'ext4' ? 'e2fsprogs' : 'xfsprogs'
    throw new GraphDriverError(
      'GD_MISSING_PREREQUISITE',
      `devicemapper: ${program} is not installed; install it (Debian package ${package_})`,
      { missing: program },
    )
  }
  await run(program, [...makeOptions[type](), ...extra, device])
}

const makeOptions: Readonly<Record<FilesystemType, () => readonly string[]>> = {
  ext4: () => ['-q', '-F', '-E', 'nodiscard,lazy_itable_init=0,lazy_journal_init=0'],
  // Kernels before 3.16 mount nothing else.
  xfs: () => {
    const { major, minor } = kernelVersion()
    const old = major < 3 || (major === 3 && minor < 16)
    return ['-q', '-f', '-K', ...(old ? ['-m', 'crc=0,finobt=0'] : [])]
  },
}

export interface MountedDevice {
  readonly node: string
  readonly target: string
  readonly mountLabel?: string | undefined
  /** Its pool takes no writes: not even the journal's. */
  readonly readOnly?: boolean | undefined
}

/**
 * Mounts a device, at a directory that is made for it.
 *
 * @throws GD_STORE_CORRUPT for one without a filesystem
 */
export function mountDevice(
  { node, target, mountLabel, readOnly = false }: MountedDevice,
  { mountOptions, xfsNoSpaceRetries }: DeviceMapperOptions,
): FilesystemIdentity['type'] {
  const type = typeOf(node)
  const options = [
    ...optionsOf(type, mountOptions, readOnly),
    ...(mountLabel === undefined ? [] : [contextOption(mountLabel)]),
  ]
  mkdirSync(target, { recursive: true, mode: 0o755 })
  try {
    mount({ source: node, target, type, flags: readOnly ? MS.RDONLY : 0, data: options.join(',') })
    if (type === 'xfs' && xfsNoSpaceRetries !== undefined) limitRetries(node, xfsNoSpaceRetries)
    return type
  } catch (error) {
    unmountAndRemove(target)
    throw error
  }
}

/**
 * Mounts a device nowhere, to be read as it is.
 *
 * @returns its descriptor
 * @throws GD_STORE_CORRUPT for one without a filesystem
 */
export function openDevice(node: string, { mountOptions }: DeviceMapperOptions): number {
  const type = typeOf(node)
  const options = optionsOf(type, mountOptions, true).map((option): FilesystemOption => {
    const at = option.indexOf('=')
    return at === -1 ? option : [option.slice(0, at), option.slice(at + 1)]
  })
  return openFilesystem(type, [['source', node], 'ro', ...options], MOUNT_ATTR.RDONLY)
}

function typeOf(node: string): FilesystemIdentity['type'] {
  const found = identifyFilesystem(node)
  if (found !== undefined) return found.type
  const message = `devicemapper: ${node} has no filesystem; remove its layer`
  throw new GraphDriverError('GD_STORE_CORRUPT', message, { path: node })
}

function optionsOf(
  type: FilesystemIdentity['type'],
  mountOptions: readonly string[],
  readOnly: boolean,
): readonly string[] {
  // Snapshots have the UUID of what they were made from.
  return [...(type === 'xfs' ? ['nouuid'] : []), ...(readOnly ? [noJournal[type]] : []), ...mountOptions]
}

const noJournal = { ext4: 'noload', xfs: 'norecovery', btrfs: 'rescue=nologreplay' } as const

/** xfs tries for ever to write its metadata to a pool that is full, unless it is told otherwise. */
function limitRetries(node: string, retries: number): void {
  const file = `/sys/fs/xfs/${path.basename(node)}/error/metadata/ENOSPC/max_retries`
  writeFileSync(file, String(retries))
}

/** Makes a mounted filesystem as large as its device. */
export function growFilesystem(type: FilesystemIdentity['type'], target: string, bytes: number): void {
  if (type === 'xfs') growXfs(target, bytes)
  else growExt4(target, bytes)
}
