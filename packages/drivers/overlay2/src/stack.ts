/** Mounting and unmounting one stack of layers. */
import { closeSync, rmdirSync } from 'node:fs'
import path from 'node:path'
import { GraphDriverError } from '@graphdriver/core'
import {
  AT_FDCWD,
  FILESYSTEM_MAGIC,
  getpagesize,
  isSystemError,
  MNT,
  mount,
  mountFilesystem,
  O,
  openat,
  run,
  statfs,
  umount,
} from '@graphdriver/sys'
import { chooseWay, fitsOption, maximumDepth, maximumLower, mountOptions, type Stack } from './mount-data.ts'

export interface MountPoint {
  readonly home: string
  /** An existing directory. */
  readonly target: string
  /** Whom to name when it fails. */
  readonly id: string
  readonly appendsLower: boolean
}

/** @throws GD_MAX_DEPTH when this kernel has no way to be told so many layers; SystemError of the mount */
export async function mountStack(point: MountPoint, stack: Stack): Promise<void> {
  const { home, target } = point
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
      const depth = stack.lower.length + (stack.upper === undefined ? 0 : 1)
      throw new GraphDriverError(
        'GD_MAX_DEPTH',
        `layer ${point.id}: a stack of ${depth} layers is more than this kernel mounts; ` +
          `it takes ${maximumLower} from Linux 6.7 on, and what fits in a page before`,
        {
          id: point.id,
          depth,
          limit: maximumDepth({ pageSize: getpagesize(), appendsLower: point.appendsLower }),
        },
      )
    }
  }
}

/** Whether an overlay is mounted at a directory that is not on one itself. */
export function isStackMounted(target: string): boolean {
  try {
    return statfs(target).type === FILESYSTEM_MAGIC.overlayfs
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'ESTALE')) return false
    throw error
  }
}

/**
 * Unmounts, even while somebody is inside, and removes the mount point: that makes the kernel drop the mount from
 * other mount namespaces too (Linux commit 8ed936b5671b). Not mounted is success.
 */
export function unmountStack(target: string): void {
  try {
    umount(target, MNT.DETACH | MNT.NOFOLLOW)
  } catch (error) {
    if (!isSystemError(error, 'EINVAL', 'ENOENT')) throw error
  }
  removeMountPoint(target)
}

/** A mount point that will not go does no harm: the next mount uses it. */
export function removeMountPoint(target: string): void {
  try {
    rmdirSync(target)
  } catch (error) {
    if (!isSystemError(error, 'ENOENT', 'ENOTDIR', 'EBUSY', 'ENOTEMPTY')) throw error
  }
}

function mountByOptions(home: string, target: string, stack: Stack): void {
  using places = new Places(home)
  mountFilesystem(
    'overlay',
    target,
    mountOptions(stack, (relative) => places.name(relative)),
  )
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
