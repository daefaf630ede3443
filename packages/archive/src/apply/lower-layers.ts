/**
 * The layers below one that is extracted on its own, for overlayfs to stack.
 *
 * A tar may leave out the directories that its entries are in, and reach them through symlinks of the image. Merged
 * into one tree, such entries find what is there; on its own a layer has to look it up, or it would cover `/tmp` with
 * a directory of other permissions, and `/lib -> usr/lib` with a directory.
 */
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  fchmod,
  fchown,
  fgetxattr,
  flistxattr,
  fsetxattr,
  isSystemError,
  O,
  openat,
  readDirectory,
  readlinkat,
  S,
  type Stat,
  statx,
} from '@graphdriver/sys'
import { closeSync } from 'node:fs'
import { isOverlayWhiteout } from '../tree/overlay-whiteout.ts'
import type { Directory } from './directory.ts'
import { pathBytes } from './entry-path.ts'
import { openBeneath } from './open-beneath.ts'

const empty = Buffer.alloc(0)

export interface LowerDirectory {
  readonly kind: 'directory'
  readonly stat: Stat
  readonly xattrs: ReadonlyMap<string, Buffer>
}

/** What a name is in the layers below. */
export type Lower =
  | LowerDirectory
  | { readonly kind: 'symlink'; readonly target: string }
  | { readonly kind: 'other' }

/** What one layer has to say of a name: `next` is that it says nothing, `nothing` that there is nothing. */
type Answer = Lower | 'next' | 'nothing'
/** The same of a directory; below one that is opaque, or in one, no further layer shows. */
type Way = { readonly fd: number; readonly opaque: boolean } | 'next' | 'nothing'

export class LowerLayers {
  readonly #roots: readonly string[]
  readonly #opaqueXattr: string
  readonly #ready: () => void
  #isReady = false
  #last: { readonly directory: Directory; readonly roots: readonly string[] } | undefined

  /**
   * @param roots nearest first, as overlayfs's `lowerdir` has them
   * @param ready blocks until they are complete; called before they are first looked at
   */
  constructor(roots: readonly string[], opaqueXattr: string, ready: () => void) {
    this.#roots = roots
    this.#opaqueXattr = opaqueXattr
    this.#ready = ready
  }

  namesInRoots(): ReadonlySet<string> {
    const names = new Set<string>()
    for (const root of this.#complete()) {
      const fd = openat(AT_FDCWD, root, O.RDONLY | O.DIRECTORY)
      try {
        for (const entry of readDirectory(fd)) names.add(entry.name.toString('latin1'))
      } finally {
        closeSync(fd)
      }
    }
    return names
  }

  find(parent: Directory, name: string): Lower | undefined {
    const path = parent.path()
    for (const root of this.#having(parent, path)) {
      const way = this.#enter(root, path)
      if (typeof way === 'string') continue
      try {
        const answer = this.#look(way.fd, name)
        if (answer === 'nothing') return undefined
        if (answer !== 'next') return answer
      } finally {
        closeSync(way.fd)
      }
    }
    return undefined
  }

  /** The layers that have a directory, as far down as they show. Asked mostly for the same one again. */
  #having(directory: Directory, path: readonly string[]): readonly string[] {
    if (this.#last?.directory === directory) return this.#last.roots
    const roots: string[] = []
    for (const root of this.#complete()) {
      const way = this.#enter(root, path)
      if (way === 'nothing') break
      if (way === 'next') continue
      closeSync(way.fd)
      roots.push(root)
      if (way.opaque) break
    }
    this.#last = { directory, roots }
    return roots
  }

  #complete(): readonly string[] {
    if (!this.#isReady) this.#ready()
    this.#isReady = true
    return this.#roots
  }

  #enter(root: string, path: readonly string[]): Way {
    let opaque = false
    let fd = openat(AT_FDCWD, root, O.RDONLY | O.DIRECTORY)
    try {
      for (const name of path) {
        const next = openBeneath(fd, name)
        closeSync(fd)
        fd = next
        opaque ||= fgetxattr(fd, this.#opaqueXattr)?.toString() === 'y'
      }
      return { fd, opaque }
    } catch (error) {
      closeSync(fd)
      if (isSystemError(error, 'ENOENT')) return opaque ? 'nothing' : 'next'
      // Something that is no directory hides all that is further below.
      if (isSystemError(error, 'ENOTDIR', 'ELOOP')) return 'nothing'
      throw error
    }
  }

  #look(parent: number, name: string): Answer {
    let stat: Stat
    try {
      stat = statx(parent, pathBytes(name), AT_SYMLINK_NOFOLLOW)
    } catch (error) {
      if (isSystemError(error, 'ENOENT')) return 'next'
      throw error
    }
    switch (stat.mode & S.IFMT) {
      case S.IFDIR:
        return this.#describe(parent, name)
      case S.IFLNK:
        return { kind: 'symlink', target: readlinkat(parent, pathBytes(name)).toString('latin1') }
      case S.IFCHR:
        return isOverlayWhiteout(stat) ? 'nothing' : { kind: 'other' }
      default:
        return { kind: 'other' }
    }
  }

  #describe(parent: number, name: string): Lower {
    const fd = openBeneath(parent, name)
    try {
      const names = flistxattr(fd).filter((xattr) => !isOverlayXattr(xattr))
      const xattrs = new Map(names.map((xattr) => [xattr, fgetxattr(fd, xattr) ?? empty]))
      return { kind: 'directory', stat: statx(fd, '', AT_EMPTY_PATH), xattrs }
    } finally {
      closeSync(fd)
    }
  }
}

/** Gives an open directory the owner, attributes and mode of one below; its times come last, and from the tree. */
export function applyLower(fd: number, lower: LowerDirectory): void {
  fchown(fd, lower.stat.uid, lower.stat.gid)
  for (const [name, value] of lower.xattrs) fsetxattr(fd, name, value)
  fchmod(fd, lower.stat.mode & 0o7777)
}

/** To overlayfs these are not data but instructions. */
export function isOverlayXattr(name: string): boolean {
  return /^(?:trusted|user)\.overlay\./.test(name)
}
