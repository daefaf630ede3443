/**
 * The directories of a layer by names that do not tell upper from lower case, as Windows does not. Links are not
 * followed; directories last used stay open, and know what is in them once somebody has asked for another spelling.
 */
import { closeSync } from 'node:fs'
import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  isSystemError,
  mkdirat,
  O,
  openat,
  readDirectory,
  type Stat,
  statx,
} from '@graphdriver/sys'

const keptOpen = 64
const flags = O.RDONLY | O.DIRECTORY | O.NOFOLLOW

/** Where an entry is, or would be. */
export interface Place {
  /** Descriptor of the directory, valid until the next look. */
  readonly directory: number
  /** As it is spelled there. */
  readonly name: string
  readonly stat: Stat | undefined
  readonly folder: Folder
}

interface Folder {
  readonly fd: number
  /** Spellings by what they fold to; unknown until it was read. */
  names: Map<string, string> | undefined
}

/** NTFS folds by a table of simple upper-case letters, which for names in use is this. */
export function fold(name: string): string {
  return name.toUpperCase()
}

export class Folders implements Disposable {
  readonly #root: Folder
  /** By folded path, the least recently used first. */
  readonly #open = new Map<string, Folder>()

  /** @param root a directory, absolute */
  constructor(root: string) {
    this.#root = { fd: openat(AT_FDCWD, root, flags), names: undefined }
  }

  [Symbol.dispose](): void {
    for (const { fd } of this.#open.values()) closeSync(fd)
    this.#open.clear()
    closeSync(this.#root.fd)
  }

  /** Finds an entry; directories above that are not there are made. @throws SystemError ENOTDIR, ELOOP */
  locate(path: string): Place {
    const split = path.lastIndexOf('/')
    return placeIn(this.#folder(path.slice(0, Math.max(split, 0))), path.slice(split + 1))
  }

  /** After an entry was made. */
  made({ folder, name }: Place): void {
    folder.names?.set(fold(name), name)
  }

  /** Before an entry and all below it is removed. */
  removing({ folder, name }: Place, path: string): void {
    folder.names?.delete(fold(name))
    const key = fold(path)
    for (const [open, { fd }] of this.#open) {
      if (open !== key && !open.startsWith(`${key}/`)) continue
      this.#open.delete(open)
      closeSync(fd)
    }
  }

  #folder(path: string): Folder {
    if (path === '') return this.#root
    const key = fold(path)
    const known = this.#open.get(key)
    if (known !== undefined) {
      this.#open.delete(key)
      this.#open.set(key, known)
      return known
    }
    const place = this.locate(path)
    if (place.stat === undefined) {
      mkdirat(place.directory, place.name, 0o755)
      this.made(place)
    }
    const folder: Folder = {
      fd: openat(place.directory, place.name, flags),
      names: place.stat === undefined ? new Map() : undefined,
    }
    this.#open.set(key, folder)
    if (this.#open.size > keptOpen) this.#closeOldest()
    return folder
  }

  #closeOldest(): void {
    const oldest = this.#open.entries().next().value
    if (oldest === undefined) return
    this.#open.delete(oldest[0])
    closeSync(oldest[1].fd)
  }
}

function placeIn(folder: Folder, name: string): Place {
  const { fd: directory } = folder
  // Most names are spelled as they were, or are new in a directory that is.
  const stat = folder.names?.size === 0 ? undefined : statOf(directory, name)
  if (stat !== undefined) return { directory, name, stat, folder }
  folder.names ??= namesIn(directory)
  const spelled = folder.names.get(fold(name))
  if (spelled === undefined) return { directory, name, stat: undefined, folder }
  return { directory, name: spelled, stat: statOf(directory, spelled), folder }
}

function namesIn(directory: number): Map<string, string> {
  return new Map(readDirectory(directory).map(({ name }) => [fold(name.toString()), name.toString()]))
}

function statOf(directory: number, name: string): Stat | undefined {
  try {
    return statx(directory, name, AT_SYMLINK_NOFOLLOW)
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined
    throw error
  }
}
