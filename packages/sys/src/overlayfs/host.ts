/**
 * What the kernel and the filesystem at a place can do for overlayfs, found by trying: one real mount in a scratch
 * directory. Version numbers say little, since distributions patch and filesystems differ by how they were made.
 */
import { closeSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { O } from '../abi.ts'
import { AT_FDCWD, DT } from '../constants.ts'
import { readDirectory } from '../directory.ts'
import { isSystemError } from '../error.ts'
import { filesystemName, statfs } from '../filesystem.ts'
import { fsconfigString, fsopen } from '../mount-api.ts'
import { discardProbe } from '../probe-place.ts'
import { openat } from '../open.ts'
import { makeScratch } from '../scratch.ts'
import type { MountOption } from './mount-data.ts'
import { type OverlayXattr, parameter, Trial, type UpperIsDiff } from './trial.ts'

/** The place can serve, and this is how. */
export interface OverlayHost {
  readonly supported: true
  /** Docker's name of the filesystem. */
  readonly backing: string
  readonly xattr: OverlayXattr
  /** Options of every mount. */
  readonly options: readonly MountOption[]
  /** The kernel takes lower directories one by one. */
  readonly appendsLower: boolean
  /** Whether an upper directory is exactly the layer's changes. */
  readonly nativeDiff: UpperIsDiff
  /** Docker on this host lets the kernel write redirects, which a native diff would not understand. */
  readonly mayRedirect: boolean
  /** Who mounts instead of the kernel; see `examineProgram`. */
  readonly program?: string | undefined
}

/** The place cannot serve. */
export interface OverlayRefusal {
  readonly supported: false
  readonly code: string
  readonly reason: string
  readonly hint: string
}

/**
 * For who must not write to `directory`: what the kernel does is tried in the system's temporary directory, and what the
 * filesystem there does is not asked, since it has layers.
 */
export async function examineToRead(
  directory: string,
  examine: (place: string) => Promise<OverlayHost | OverlayRefusal> = examineOverlay,
): Promise<OverlayHost | OverlayRefusal> {
  const host = await examine(tmpdir())
  return host.supported ? { ...host, backing: filesystemName(statfs(directory).type) } : host
}

/** Tries `directory`, which exists. Leaves nothing behind; what a killed process left is `reapProbes`' task. */
export async function examineOverlay(directory: string): Promise<OverlayHost | OverlayRefusal> {
  try {
    const appendsLower = probeAppendsLower(directory)
    using scratch = makeScratch(directory, 'probe', 0o700)
    try {
      return await examineScratch(scratch.path, appendsLower)
    } finally {
      discardProbe(scratch.path)
    }
  } catch (error) {
    return refusalOf(directory, error)
  }
}

async function examineScratch(scratch: string, appendsLower: boolean): Promise<OverlayHost | OverlayRefusal> {
  const backing = filesystemName(statfs(scratch).type)
  if (!namesTypes(scratch)) return noTypes(backing)

  const trial = new Trial(scratch, appendsLower)
  const outcome = await trial.mount()
  if (!outcome.mounted) return refusesUpper(backing, outcome.failure)
  const { xattr, options } = outcome
  if (!trial.keepsOpaque(xattr)) return noXattr(backing, xattr)
  return {
    supported: true,
    backing,
    xattr,
    options,
    appendsLower,
    nativeDiff: trial.nativeDiff(xattr),
    mayRedirect: parameter('redirect_dir') === 'Y' || parameter('metacopy') === 'Y',
  }
}

/**
 * Whether `lowerdir+` exists. Opening the filesystem's type also loads its module, so that its parameters can be read.
 *
 * @throws SystemError ENODEV when the kernel has no overlayfs, EPERM without the privilege to mount
 */
function probeAppendsLower(directory: string): boolean {
  let fd: number
  try {
    fd = fsopen('overlay')
  } catch (error) {
    if (isSystemError(error, 'ENOSYS')) return false
    throw error
  }
  const layer = openat(AT_FDCWD, directory, O.PATH | O.DIRECTORY)
  try {
    fsconfigString(fd, 'lowerdir+', `/proc/self/fd/${layer}`)
    return true
  } catch (error) {
    if (isSystemError(error, 'EINVAL')) return false
    throw error
  } finally {
    closeSync(layer)
    closeSync(fd)
  }
}

/** overlayfs needs directory entries to say what they are (`d_type`, readdir(3)). */
export function namesTypes(scratch: string): boolean {
  const file = path.join(scratch, 'file')
  writeFileSync(file, '')
  const fd = openat(AT_FDCWD, scratch, O.RDONLY | O.DIRECTORY)
  try {
    return readDirectory(fd).every((entry) => entry.type !== DT.UNKNOWN)
  } finally {
    closeSync(fd)
  }
}

function refusalOf(directory: string, error: unknown): OverlayRefusal {
  if (isSystemError(error, 'ENODEV')) {
    return refuse('no-overlayfs', 'the kernel has no overlayfs', 'load its module with: modprobe overlay')
  }
  if (isSystemError(error, 'EPERM')) return notPermitted()
  if (isSystemError(error)) {
    return refuse(
      'not-writable',
      `${directory} cannot be written: ${error.message}`,
      'choose another data root, or make this one writable',
    )
  }
  throw error
}

function refuse(code: string, reason: string, hint: string): OverlayRefusal {
  return { supported: false, code, reason, hint }
}

const otherVolume = 'put the data root on ext4, xfs (ftype=1), btrfs or tmpfs'

function notPermitted(): OverlayRefusal {
  return refuse(
    'not-permitted',
    'this process may not mount overlayfs',
    'run as root, or in a user namespace of your own on Linux 5.11 or later',
  )
}

function noTypes(backing: string): OverlayRefusal {
  return refuse(
    'no-d-type',
    `${backing} here does not store the type of files in directories (d_type)`,
    backing === 'xfs' ? 'make the filesystem again with: mkfs.xfs -n ftype=1' : otherVolume,
  )
}

function noXattr(backing: string, xattr: string): OverlayRefusal {
  return refuse('no-xattr', `${backing} here does not keep ${xattr}.overlay attributes`, otherVolume)
}

function refusesUpper(backing: string, failure: unknown): OverlayRefusal {
  if (isSystemError(failure, 'EPERM')) return notPermitted()
  const detail = failure instanceof Error ? failure.message : String(failure)
  return refuse(
    'backing-filesystem',
    `overlayfs cannot have its upper directory on ${backing}: ${detail}`,
    otherVolume,
  )
}
