/** Mounting and unmounting one stack of layers. */
import { closeSync } from 'node:fs'
import path from 'node:path'
import { constants } from 'node:os'
import { O } from '../abi.ts'
import { run } from '../command.ts'
import { AT_FDCWD } from '../constants.ts'
import { isSystemError, SystemError } from '../error.ts'
import { FILESYSTEM_MAGIC, statfs } from '../filesystem.ts'
import { openDetached } from '../detached-mounts.ts'
import { mountFilesystem, openFilesystem } from '../mount-api.ts'
import { isMountPoint, mount } from '../mount.ts'
import { openat } from '../open.ts'
import { getpagesize } from '../process.ts'
import {
  chooseWay,
  fitsOption,
  maximumLower,
  mountData,
  type MountOption,
  mountOptions,
  type Stack,
} from './mount-data.ts'

export interface MountPoint {
  readonly home: string
  /** An existing directory. */
  readonly target: string
  readonly appendsLower: boolean
  /** A program that mounts instead of the kernel. */
  readonly program?: string | undefined
}

/** @throws SystemError of the mount; E2BIG when this kernel has no way to be told so many layers */
export async function mountStack(point: MountPoint, stack: Stack): Promise<void> {
  const { home, target, program } = point
  if (program !== undefined) {
    await run(program, ['-o', mountData(stack), target], { cwd: home })
    return
  }
  const way = chooseWay(home, stack, { pageSize: getpagesize(), appendsLower: point.appendsLower })
  switch (way.by) {
    case 'mount':
      mount({ source: 'overlay', target, type: 'overlay', data: way.data })
      return
    case 'options':
      mountByOptions(home, target, stack)
      return
    case 'command':
      await mountByCommand(home, target, way.data)
      return
    case 'nothing': {
      const layers = stack.lower.length + (stack.upper === undefined ? 0 : 1)
      throw new SystemError(constants.errno.E2BIG, {
        syscall: 'mount',
        path: target,
        note: `a stack of ${layers} layers; Linux 6.7 or later takes ${maximumLower}, others what fits in a page`,
      })
    }
  }
}

/**
 * The stack mounted nowhere, for as long as the descriptor is open that is returned.
 *
 * @throws as `mountStack`
 */
export function openStack(point: Omit<MountPoint, 'target'>, stack: Stack): Promise<number> | number {
  const { home, program, appendsLower } = point
  if (program !== undefined || !appendsLower || stack.lower.length > maximumLower)
    return openDetached((target) => mountStack({ ...point, target }, stack))
  using places = new Places(home)
  return openFilesystem('overlay', optionsOf(stack, places))
}

/**
 * Whether an overlay, of the kernel or of a program, is mounted at a directory that is not on one itself. One whose
 * program has died is none.
 */
export function isStackMounted(target: string): boolean {
  const type = typeAt(target)
  return type === FILESYSTEM_MAGIC.overlayfs || (type === FILESYSTEM_MAGIC.fuse && isMountPoint(target))
}

/** The same of the kernel's alone. */
export function isKernelOverlay(target: string): boolean {
  return typeAt(target) === FILESYSTEM_MAGIC.overlayfs
}

function typeAt(target: string): number | undefined {
  try {
    return statfs(target).type
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'ESTALE', 'ENOTCONN')) return undefined
    throw error
  }
}

function mountByOptions(home: string, target: string, stack: Stack): void {
  using places = new Places(home)
  mountFilesystem('overlay', target, optionsOf(stack, places))
}

function optionsOf(stack: Stack, places: Places): readonly MountOption[] {
  return mountOptions(stack, (relative) => places.name(relative))
}

/**
 * Names for directories below a home whose own path is too long for an option, or has characters that an option
 * cannot have: the kernel follows /proc/self/fd to what this process has opened (proc(5)).
 */
class Places implements Disposable {
  readonly #home: string
  readonly #opened = new Map<string, number>()

  constructor(home: string) {
    this.#home = home
  }

  name(relative: string): string {
    const full = path.join(this.#home, relative)
    if (fitsOption(full)) return full
    const short = path.join(this.#descriptor(this.#home), relative)
    return fitsOption(short) ? short : this.#descriptor(full)
  }

  #descriptor(directory: string): string {
    const fd = this.#opened.get(directory) ?? openat(AT_FDCWD, directory, O.PATH | O.DIRECTORY)
    this.#opened.set(directory, fd)
    return `/proc/self/fd/${fd}`
  }

  [Symbol.dispose](): void {
    for (const fd of this.#opened.values()) closeSync(fd)
    this.#opened.clear()
  }
}

/**
 * Relative paths shorten the string, but the working directory belongs to the whole process: a child has to do it.
 * libmount must not turn the options into the mount API's, where such kernels allow each only 256 bytes.
 */
async function mountByCommand(home: string, target: string, data: string): Promise<void> {
  const args = ['--no-canonicalize', '--internal-only', '-t', 'overlay', '-o', data, 'overlay', target]
  await run('mount', args, { cwd: home, env: { LIBMOUNT_FORCE_MOUNT2: 'always' } })
}
