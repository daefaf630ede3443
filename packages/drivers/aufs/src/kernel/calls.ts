/** What the engine asks of the kernel, in one place: kernels with aufs are rare, and the engine's own steps are tested without. */
import {
  CommandError,
  isMountPoint,
  isSystemError,
  MNT,
  mount,
  readMountTable,
  run,
  statfs,
  umount,
} from '@graphdriver/sys'
import { branchesOf, isWrittenTo, mountNumber } from './branches.ts'
import type { MountCall } from './plan.ts'

export interface AufsCalls {
  isMounted(target: string): boolean
  /** @throws SystemError */
  mount(target: string, call: MountCall): void
  /** Lazily: whoever is inside keeps it. @throws SystemError EBUSY, EINVAL */
  unmount(target: string): void
  /** What is mounted, as `<path>=<mode>`, the topmost first. */
  branchesAt(target: string): readonly string[]
  isWrittenTo(diff: string): boolean
  /** Runs aufs-tools' `auplink`. @returns its exit code; undefined when it could not be run */
  flush(auplink: string, target: string): Promise<number | undefined>
}

/** What statfs(2) says of aufs (AUFS_SUPER_MAGIC of linux/aufs_type.h). */
const magic = 0x61756673

export const kernelCalls: AufsCalls = {
  isMounted(target) {
    try {
      return statfs(target).type === magic && isMountPoint(target)
    } catch (error) {
      if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'ESTALE')) return false
      throw error
    }
  },
  mount: (target, { flags, data }) => mount({ source: 'none', target, type: 'aufs', flags, data }),
  unmount: (target) => umount(target, MNT.DETACH | MNT.NOFOLLOW),
  branchesAt(target) {
    const entry = readMountTable().findLast((found) => found.target === target)
    const number = entry === undefined ? undefined : mountNumber(entry)
    return number === undefined ? [] : branchesOf(number)
  },
  isWrittenTo: (diff) => isWrittenTo(diff),
  async flush(auplink, target) {
    try {
      await run(auplink, [target, 'flush'])
      return 0
    } catch (error) {
      if (error instanceof CommandError) return error.exitCode
      throw error
    }
  },
}
