/** Showing one layer with everything below it at its `merged/`. */
import { closeSync, existsSync, mkdirSync } from 'node:fs'
import { GraphDriverError, type LayerId } from '@graphdriver/core'
import { AT_FDCWD, flock, getpagesize, isSystemError, O, openat } from '@graphdriver/sys'
import {
  isStackMounted,
  maximumDepth,
  mountStack,
  type OverlayHost,
  removeMountPoint,
  type Stack,
  unmountStack,
} from '@graphdriver/sys/overlayfs'
import { type LayerPaths, layerPaths, type LayerRecord } from './layout.ts'
import { repairLinks } from './links.ts'

/**
 * Mounts the layer, unless another process has done so meanwhile.
 *
 * @returns whether this call mounted it
 * @throws GD_MAX_DEPTH, SystemError
 */
export async function mountLayer(
  home: string,
  id: LayerId,
  record: LayerRecord,
  host: OverlayHost,
  label?: string,
): Promise<boolean> {
  const paths = layerPaths(home, id)
  const stack = stackOf(id, record.lower, host, isCommitted(paths), label)
  try {
    return await attempt(home, paths, stack, host)
  } catch (error) {
    // A backup that left l/ out: the layers below know their own short names.
    if (isSystemError(error, 'ENOENT') && (await repairLinks(home)) > 0)
      return await attempt(home, paths, stack, host)
    if (isSystemError(error, 'E2BIG')) throw tooDeep(id, record, host, error)
    throw error
  }
}

function tooDeep(id: LayerId, { lower }: LayerRecord, { appendsLower }: OverlayHost, cause: Error): Error {
  const depth = lower.length + 1
  const limit = maximumDepth({ pageSize: getpagesize(), appendsLower })
  const message = `layer ${id} is the ${depth}th of its stack, which is more than this kernel mounts: ${cause.message}`
  return new GraphDriverError('GD_MAX_DEPTH', message, { id, depth, limit }, { cause })
}

/** Whether the layer has or had a child, which would see, and be broken by, what is written to it. */
export function isCommitted(paths: LayerPaths): boolean {
  return existsSync(paths.committed)
}

/** Not mounted is success. */
export function unmountLayer(paths: LayerPaths): void {
  using _ = lockMounting(paths)
  unmountStack(paths.merged)
}

function stackOf(
  id: LayerId,
  lower: readonly string[],
  host: OverlayHost,
  committed: boolean,
  label: string | undefined,
): Stack {
  if (label?.includes('"') === true) {
    throw new GraphDriverError('GD_INVALID_OPTION', `layer ${id}: '${label}' is no SELinux context`, {
      option: 'mountLabel',
      value: label,
    })
  }
  const { options } = host
  if (committed) return { lower: [`${id}/diff`, ...lower], options, label }
  return { lower, upper: { diff: `${id}/diff`, work: `${id}/work` }, options, label }
}

async function attempt(home: string, paths: LayerPaths, stack: Stack, host: OverlayHost): Promise<boolean> {
  const { merged } = paths
  let mounting: Promise<void>
  {
    using _ = lockMounting(paths)
    if (isStackMounted(merged)) return false
    makeMountPoint(merged)
    // Unless a child process has to do it, the mount is made when this returns.
    mounting = mountStack({ home, target: merged, appendsLower: host.appendsLower }, stack)
  }
  try {
    await mounting
    return true
  } catch (error) {
    removeMountPoint(merged)
    throw error
  }
}

function makeMountPoint(merged: string): void {
  try {
    mkdirSync(merged, { mode: 0o700 })
  } catch (error) {
    if (!isSystemError(error, 'EEXIST')) throw error
  }
}

/**
 * Two processes must not mount one upper directory at the same time: the kernel calls what follows undefined. The
 * lock is held for one system call, never across a wait.
 */
function lockMounting(paths: LayerPaths): Disposable | undefined {
  let fd: number
  try {
    fd = openat(AT_FDCWD, paths.work, O.RDONLY | O.DIRECTORY | O.NOFOLLOW)
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined
    throw error
  }
  try {
    flock(fd, 'exclusive')
  } catch (error) {
    closeSync(fd)
    throw error
  }
  return { [Symbol.dispose]: () => closeSync(fd) }
}
