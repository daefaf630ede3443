/**
 * Overlays that are unmounted and not gone yet: with its last user the kernel flushes all that is dirty on the filesystem
 * below (ovl_sync_fs), be it of whom it may, and nobody needs to wait for that who does not want the directories again.
 */
import { close, closeSync } from 'node:fs'
import { promisify } from 'node:util'
import { O } from '../abi.ts'
import { AT_FDCWD } from '../constants.ts'
import { isSystemError } from '../error.ts'
import { openat } from '../open.ts'
import { type ExclusiveMountPoint, unmountExclusively } from './exclusive.ts'
import { isKernelOverlay } from './stack.ts'

const closed = promisify(close)

/** Of the process's few threads for files, so many may be kept by a disk that is slow. */
const mostAtATime = 2
/** Whoever unmounts more waits for one to be gone. */
const mostBehind = 64

export class Departures {
  readonly #going = new Map<string, Promise<void>>()
  readonly #waiting: (() => void)[] = []
  #closing = 0

  /**
   * Unmounts, as `unmountExclusively` does: nothing is mounted there when this resolves. The directories are free when it
   * is `gone`.
   */
  async unmount(point: Pick<ExclusiveMountPoint, 'target' | 'lock'>): Promise<void> {
    const { target } = point
    await this.gone(target)
    const last = openOverlay(target)
    try {
      unmountExclusively(point)
    } catch (error) {
      if (last !== undefined) closeSync(last)
      throw error
    }
    if (last === undefined) return
    const going = this.#close(last)
      // Nobody may be waiting, and what the kernel could not flush is no matter of this descriptor's.
      .catch(() => undefined)
      .finally(() => this.#going.delete(target))
    this.#going.set(target, going)
    if (this.#going.size > mostBehind) await Promise.race(this.#going.values())
  }

  /** Resolves when nothing uses the directories any more of what was mounted at `target`. */
  async gone(target: string): Promise<void> {
    await this.#going.get(target)
  }

  async allGone(): Promise<void> {
    await Promise.all(this.#going.values())
  }

  async #close(fd: number): Promise<void> {
    while (this.#closing >= mostAtATime) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#waiting.push(resolve)
      await promise
    }
    this.#closing++
    try {
      await closed(fd)
    } finally {
      this.#closing--
      this.#waiting.shift()?.()
    }
  }
}

/** Holds the overlay that is mounted at `target`; undefined where there is none, or no descriptor to spare. */
function openOverlay(target: string): number | undefined {
  if (!isKernelOverlay(target)) return undefined
  try {
    return openat(AT_FDCWD, target, O.PATH | O.DIRECTORY | O.NOFOLLOW)
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'EMFILE', 'ENFILE')) return undefined
    throw error
  }
}
