/** Projects of a filesystem, one for each layer that has limits. */
import { closeSync } from 'node:fs'
import {
  AT_FDCWD,
  FILESYSTEM_MAGIC,
  hasCapability,
  holdDirectory,
  inUserNamespace,
  isSystemError,
  O,
  openat,
  statfs,
} from '@graphdriver/sys'
import { projectOf, projectState, projectUsage, setProject, setProjectLimits } from '@graphdriver/sys/quota'
import type { Quota, Usage } from '@graphdriver/core'

/** Why projects do not limit layers at a place, and what would help. */
export interface NoProjects {
  readonly reason: string
  readonly hint: string
}

/**
 * Looks whether the filesystem of a directory counts projects and limits them.
 *
 * @param privileged the limit has to hold for processes with CAP_SYS_RESOURCE too, which only XFS does. Overlayfs writes
 *   without that capability for whoever writes to it.
 */
export function examineProjects(home: string, privileged: boolean): NoProjects | undefined {
  if (inUserNamespace() || !hasCapability('CAP_SYS_ADMIN'))
    return { reason: 'project quotas are root’s to set', hint: 'run as root' }
  return withDirectory(home, (fd) => {
    const remount = {
      hint: 'mount the filesystem with the option prjquota (ext4: made with -O project,quota)',
    }
    try {
      const { accounts, enforces } = projectState(fd)
      if (!accounts || !enforces) return { reason: `${home} has no project quotas`, ...remount }
      if (projectOf(fd).inherits)
        return { reason: `${home} is in a project itself`, hint: 'limit the filesystem in another way' }
    } catch (error) {
      if (!isSystemError(error)) throw error
      return { reason: `${home} has no project quotas (${error.code})`, ...remount }
    }
    if (privileged && statfs(home).type !== FILESYSTEM_MAGIC.xfs)
      return {
        reason: 'here only xfs limits what root writes without a mount between',
        hint: 'put the data root on xfs',
      }
    return undefined
  })
}

/** Filesystems reserve more than they take in the end. */
const slack = { bytes: 1024 * 1024, inodes: 16 } as const

export class Projects {
  readonly #home: string
  /** The last number that was given here: all below were taken then. */
  #last = 0

  constructor(home: string) {
    this.#home = home
  }

  /**
   * Makes an empty directory, and all that will be in it, a project with limits.
   *
   * @returns its number, for `join`
   */
  start(directory: string, quota: Quota): number {
    return withDirectory(directory, (fd) => {
      // Between the look at a number and its use no other process may take it.
      using _ = holdDirectory(this.#home)
      const id = this.#free(fd)
      setProjectLimits(fd, id, limitsOf(quota))
      setProject(fd, id)
      this.#last = id
      return id
    })
  }

  /** Makes another empty directory part of a project. */
  join(directory: string, id: number): void {
    withDirectory(directory, (fd) => setProject(fd, id))
  }

  /** @returns false for a directory that is no project */
  change(directory: string, quota: Quota): boolean {
    return withDirectory(directory, (fd) => {
      const { id } = projectOf(fd)
      if (id === 0) return false
      setProjectLimits(fd, id, limitsOf(quota))
      return true
    })
  }

  /**
   * Raises the limits of a project that is full by a little.
   *
   * @returns what puts them back; undefined when there is room
   */
  relax(directory: string): (() => void) | undefined {
    return withDirectory(directory, (fd) => {
      const { id } = projectOf(fd)
      if (id === 0) return undefined
      const { bytes, inodes, limits } = projectUsage(fd, id)
      const full =
        (limits.bytes > 0 && bytes + slack.bytes > limits.bytes) ||
        (limits.inodes > 0 && inodes + slack.inodes > limits.inodes)
      if (!full) return undefined
      const raised = (limit: number, more: number): number => (limit === 0 ? 0 : limit + more)
      setProjectLimits(fd, id, {
        bytes: raised(limits.bytes, slack.bytes),
        inodes: raised(limits.inodes, slack.inodes),
      })
      return () => withDirectory(directory, (again) => setProjectLimits(again, id, limits))
    })
  }

  usage(directory: string): Usage | undefined {
    return withDirectory(directory, (fd) => {
      const { id } = projectOf(fd)
      if (id === 0) return undefined
      const { bytes, inodes } = projectUsage(fd, id)
      return { bytes, inodes }
    })
  }

  /** The project of a directory that is to be deleted, for `end`; 0 for none, and where there is no directory. */
  numberOf(directory: string): number {
    try {
      return withDirectory(directory, (fd) => projectOf(fd).id)
    } catch (error) {
      if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return 0
      throw error
    }
  }

  /** Takes the limits of a project away that has no files any more, so that its number is free. */
  end(id: number): void {
    if (id === 0) return
    withDirectory(this.#home, (fd) => {
      if (projectUsage(fd, id).inodes === 0) setProjectLimits(fd, id, { bytes: 0, inodes: 0 })
    })
  }

  /** A number that has neither files nor limits, whoever gave it. The home's own project may be an administrator's. */
  #free(fd: number): number {
    for (
      let id =
        Math.max(
          this.#last,
          withDirectory(this.#home, (home) => projectOf(home).id),
        ) + 1;
      ;
      id++
    ) {
      const { inodes, limits } = projectUsage(fd, id)
      if (inodes === 0 && limits.bytes === 0 && limits.inodes === 0) return id
    }
  }
}

function limitsOf({ size, inodes }: Quota): Parameters<typeof setProjectLimits>[2] {
  return { bytes: size, inodes }
}

function withDirectory<T>(directory: string, use: (fd: number) => T): T {
  const fd = openat(AT_FDCWD, directory, O.RDONLY | O.DIRECTORY | O.NOFOLLOW)
  try {
    return use(fd)
  } finally {
    closeSync(fd)
  }
}
