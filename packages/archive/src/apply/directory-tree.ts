/**
 * Finds and opens the directories below a root, such that nothing in the archive or in the tree can lead outside.
 *
 * Resolution is what `RESOLVE_IN_ROOT` of openat2(2) does, one component at a time, so that each directory is looked
 * up once for all the entries in it: every step is an openat2 beneath a directory that is already open, with
 * symlinks refused by the kernel. A symlink on the way is read and followed here: an absolute target starts at the
 * root again, `..` goes to the directory that was come through, and never above the root. A magic link of /proc is
 * only its text.
 */
import { GraphDriverError } from '@graphdriver/core'
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  fchmod,
  fchown,
  isSystemError,
  mkdirat,
  O,
  openat,
  readlinkat,
  type Stat,
  statx,
} from '@graphdriver/sys'
import { closeSync } from 'node:fs'
import { Directory, type Times } from './directory.ts'
import { type EntryPath, pathBytes } from './entry-path.ts'
import { applyLower, type Lower, type LowerDirectory } from './lower-layers.ts'
import { openBeneath } from './open-beneath.ts'

/** Of the kernel (path_resolution(7)). */
const mostSymlinks = 40
/** No path of PATH_MAX (4096) bytes is deeper, and no program could name what is. */
const mostLevels = 2048
/** What the tree itself does not know, because it depends on what kind of layer is extracted. */
export interface Surroundings {
  /**
   * Makes a directory in the place of something that is none, where the layer's format asks for it.
   *
   * @returns undefined to leave what is there, which makes the entry invalid
   */
  revive(parent: Directory, name: string): Directory | undefined
  /** Finishes what is being made beside, before something is looked for that may be among it. */
  settle(): void
  /** The same before a directory is closed. */
  settleIn(directory: Directory): void
  /** What a name that is not in the tree is in the layers below. */
  lower(parent: Directory, name: string): Lower | undefined
}

/** Directories held open; the least recently used is closed, and opened again when needed. */
const mostOpen = 128

export class DirectoryTree implements Disposable {
  readonly root: Directory
  readonly #surroundings: Surroundings
  /** In order of last use. */
  readonly #open = new Set<Directory>()
  /** The answer to the last question, which is mostly the next one too. */
  #last: { readonly path: EntryPath; readonly directory: Directory } | undefined

  /** @throws SystemError when the root is not a directory that can be opened */
  constructor(root: string, surroundings: Surroundings) {
    this.#surroundings = surroundings
    this.root = new Directory('', undefined, false)
    // The root's own path is the caller's, who may well have come through a symlink.
    this.#opened(this.root, openat(AT_FDCWD, root, O.RDONLY | O.DIRECTORY))
  }

  /** An open descriptor of the directory; good for the next few calls. */
  fd(directory: Directory): number {
    if (directory.fd === -1) {
      const above = directory.parent
      if (above === undefined) throw new Error('the root is open as long as the tree')
      this.#opened(directory, openBeneath(this.fd(above), directory.name))
    } else if (directory !== this.root) {
      this.#open.delete(directory)
      this.#open.add(directory)
    }
    return directory.fd
  }

  /** The directory at a path, following symlinks within the root; missing ones are made. */
  make(path: EntryPath): Directory {
    const made = this.#walk(path, true) ?? this.root
    made.reached = true
    return made
  }

  /** The directory at a path, following symlinks within the root. */
  find(path: EntryPath): Directory | undefined {
    return this.#walk(path, false)
  }

  /** Makes a directory that is not there, open to nobody else until it has its owner. @throws SystemError EEXIST */
  create(parent: Directory, name: string): Directory {
    if (parent.depth >= mostLevels) throw tooDeep()
    mkdirat(this.fd(parent), pathBytes(name), 0o700)
    parent.touched = true
    const made = new Directory(name, parent, true)
    this.#opened(made, openBeneath(this.fd(parent), name))
    return made
  }

  /**
   * Makes a parent that the tar does not list: as it is in the layers below, or else root's and open to read, as moby
   * has it since 23.0.
   */
  imply(parent: Directory, name: string, lower?: LowerDirectory): Directory {
    const made = this.create(parent, name)
    if (lower !== undefined) {
      made.times = timesOf(lower.stat)
      applyLower(made.fd, lower)
      made.group = lower.stat.gid
      return made
    }
    if (process.geteuid?.() === 0) fchown(made.fd, 0, 0)
    fchmod(made.fd, 0o755)
    return made
  }

  /** The real directory of that name. @returns undefined when it is something else, or nothing */
  child(parent: Directory, name: string): Directory | undefined {
    return parent.child(name) ?? this.#openChild(parent, name)
  }

  /** Forgets a directory that is about to be removed, and all below. */
  forget(directory: Directory): void {
    this.#last = undefined
    directory.parent?.forgetChild(directory.name)
    this.#closeAll(directory)
  }

  [Symbol.dispose](): void {
    for (const directory of this.#open) this.#close(directory)
    this.#close(this.root)
  }

  #walk(path: EntryPath, make: boolean): Directory | undefined {
    if (this.#last?.path === path) return this.#last.directory
    const rest = path.split('/').toReversed()
    let at = this.root
    let symlinks = 0
    for (let name = rest.pop(); name !== undefined; name = rest.pop()) {
      if (name === '' || name === '.') continue
      if (name === '..') {
        at = at.parent ?? at
        continue
      }
      const next = this.child(at, name)
      if (next !== undefined) {
        at = next
        continue
      }
      const found = this.#look(at, name)
      if (found?.kind === 'symlink') {
        if (++symlinks > mostSymlinks) throw invalid('leads through a loop of symbolic links')
        if (found.target.startsWith('/')) at = this.root
        rest.push(...found.target.split('/').toReversed())
        continue
      }
      if (found?.kind === 'other') at = this.#revive(at, name, make)
      else if (make) at = this.imply(at, name, found)
      else return undefined
    }
    // A way through symlinks can change with any entry; one of directories only with theirs.
    if (symlinks === 0) this.#last = { path, directory: at }
    return at
  }

  #openChild(parent: Directory, name: string): Directory | undefined {
    if (parent.depth >= mostLevels) throw tooDeep()
    // What is in a fresh directory and is a directory was made here, and is known.
    if (parent.fresh) return undefined
    let fd: number
    try {
      fd = openBeneath(this.fd(parent), name)
    } catch (error) {
      if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined
      throw error
    }
    const found = new Directory(name, parent, false)
    this.#opened(found, fd)
    return found
  }

  /** What a name is that is no directory here; a directory that is found is one in the layers below. */
  #look(parent: Directory, name: string): Lower | undefined {
    this.#surroundings.settle()
    try {
      return { kind: 'symlink', target: readlinkat(this.fd(parent), pathBytes(name)).toString('latin1') }
    } catch (error) {
      if (isSystemError(error, 'ENOENT')) return this.#surroundings.lower(parent, name)
      if (isSystemError(error, 'EINVAL')) return { kind: 'other' }
      throw error
    }
  }

  #revive(parent: Directory, name: string, make: boolean): Directory {
    const revived = make ? this.#surroundings.revive(parent, name) : undefined
    if (revived === undefined) throw invalid('lies below something that is not a directory')
    return revived
  }

  #opened(directory: Directory, fd: number): void {
    directory.fd = fd
    if (!directory.fresh && directory.times === undefined)
      directory.times = timesOf(statx(fd, '', AT_EMPTY_PATH))
    if (directory === this.root) return
    this.#open.add(directory)
    if (this.#open.size <= mostOpen) return
    const [oldest] = this.#open
    if (oldest !== undefined) this.#close(oldest)
  }

  #closeAll(directory: Directory): void {
    for (const child of directory.children()) this.#closeAll(child)
    this.#close(directory)
  }

  #close(directory: Directory): void {
    if (directory.fd === -1) return
    this.#surroundings.settleIn(directory)
    const fd = directory.fd
    directory.fd = -1
    this.#open.delete(directory)
    closeSync(fd)
  }
}

function timesOf(stat: Stat): Times {
  return {
    atimeNs: nanoseconds(stat.atimeSec, stat.atimeNsec),
    mtimeNs: nanoseconds(stat.mtimeSec, stat.mtimeNsec),
  }
}

function nanoseconds(seconds: number, rest: number): bigint {
  return BigInt(seconds) * 1_000_000_000n + BigInt(rest)
}

/** The extractor adds which entry it was. */
function invalid(what: string): GraphDriverError<'GD_ARCHIVE_INVALID'> {
  return new GraphDriverError('GD_ARCHIVE_INVALID', what, {})
}

function tooDeep(): GraphDriverError<'GD_ARCHIVE_INVALID'> {
  return invalid(`is more than ${mostLevels} directories deep`)
}
