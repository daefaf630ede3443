import { closeSync } from 'node:fs'
import { AT_FDCWD, isSystemError, O, openat, openat2, type Path, RESOLVE } from '@graphdriver/sys'
import { statIfThere, type TreeEntry } from './walk.ts'

const keptOpen = 64
const slash = 0x2f
/** PATH_MAX of the kernel, the NUL left out. Names are shorter, so there is a separator before it. */
const longestPath = 4095

/**
 * Finds entries of a tree by path, without following a link on the way, and keeps the directories last used open:
 * paths come sorted, so most share the directory of the one before.
 */
export class ParentDirectories implements Disposable {
  readonly #root: number
  /** In the order of use, the least recent first. Keys are latin1, which holds any bytes. */
  readonly #open = new Map<string, number>()

  readonly #resolve: number

  /** @param resolve how paths are looked up; by default no link is followed */
  constructor(root: Path, resolve: number = RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS) {
    this.#resolve = resolve
    this.#root = openat(AT_FDCWD, root, O.RDONLY | O.DIRECTORY)
  }

  /** @param path from the root, without a leading slash. @returns `undefined` when nothing is there */
  locate(path: Buffer): TreeEntry | undefined {
    const split = path.lastIndexOf(slash)
    const directory = this.directory(path.subarray(0, Math.max(split, 0)))
    if (directory === undefined) return undefined
    const name = path.subarray(split + 1)
    const stat = statIfThere(directory, name)
    return stat === undefined ? undefined : { directory, name, path, stat }
  }

  /** A descriptor, valid until the next call. @returns `undefined` when no directory is there */
  directory(path: Buffer): number | undefined {
    if (path.length === 0) return this.#root
    const key = path.toString('latin1')
    const known = this.#open.get(key)
    if (known !== undefined) {
      this.#open.delete(key)
      this.#open.set(key, known)
      return known
    }
    const fd = this.#openPath(path)
    if (fd === undefined) return undefined
    this.#open.set(key, fd)
    if (this.#open.size > keptOpen) this.#closeOldest()
    return fd
  }

  #openPath(path: Buffer): number | undefined {
    if (path.length <= longestPath) return openPath(this.#root, path, this.#resolve)
    const split = path.lastIndexOf(slash, longestPath)
    const above = this.directory(path.subarray(0, split))
    return above === undefined ? undefined : openPath(above, path.subarray(split + 1), this.#resolve)
  }

  #closeOldest(): void {
    for (const [key, fd] of this.#open) {
      this.#open.delete(key)
      closeSync(fd)
      return
    }
  }

  [Symbol.dispose](): void {
    for (const fd of this.#open.values()) closeSync(fd)
    this.#open.clear()
    closeSync(this.#root)
  }
}

function openPath(root: number, path: Buffer, resolve: number): number | undefined {
  try {
    return openat2(root, path, { flags: O.RDONLY | O.DIRECTORY, resolve })
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined
    throw error
  }
}
