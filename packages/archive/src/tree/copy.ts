/**
 * Copies a tree entry by entry, source and target each by directory descriptors. The attributes of a directory come
 * when all that is in it is done.
 */
import {
  AT_EMPTY_PATH,
  AT_SYMLINK_NOFOLLOW,
  fchmodat,
  fchownat,
  inUserNamespace,
  isSystemError,
  linkat,
  lsetxattr,
  makedev,
  mkdirat,
  mknodat,
  O,
  openat,
  type Path,
  readlinkat,
  S,
  type Stat,
  statx,
  symlinkat,
  utimensat,
} from '@graphdriver/sys'
import { ContentCopier } from './copy-content.ts'
import { atimeOf, copyAttributes, mtimeOf, permissions } from './copy-attributes.ts'
import { copyXattrs, type OverlayXattrs } from './copy-xattrs.ts'
import { Descent } from './descent.ts'
import { NewOwner } from './new-owner.ts'
import { isOverlayWhiteout } from './overlay-whiteout.ts'
import { Descriptor } from './descriptor.ts'
import type { ExtraAttributes } from './extra-attributes.ts'
import { xattrPath } from './portable-xattrs.ts'
import { isDirectory, type TreeEntry, walkTree } from './walk.ts'

export interface CopyOptions {
  /** `hardlink` makes the files of the copy the very files of the source. */
  readonly mode: 'content' | 'hardlink'
  /** Whose "opaque" marks of overlayfs are copied; none when absent. */
  readonly overlayXattrs?: OverlayXattrs
}

export interface CopyResult {
  /** Every file that has content shares its extents with the source. */
  readonly reflinked: boolean
}

/**
 * Copies what is in `source`, and the attributes of `source` itself, into the existing directory `target`. Files
 * hard-linked within the source are so in the copy; devices are left out in a user namespace.
 */
export function copyTree(
  source: Path,
  target: Path,
  options: CopyOptions,
  check: () => void,
  extra?: ExtraAttributes,
): CopyResult {
  using from = Descriptor.ofDirectory(source)
  using to = Descriptor.ofDirectory(target)
  using descent = new Descent(target)
  const copier = new TreeCopier(to.fd, descent, options, check, extra)
  walkTree(
    source,
    { visit: (entry) => copier.add(entry), leave: (directory) => copier.leaveDirectory(directory) },
    check,
  )
  const stat = statx(from.fd, '', AT_EMPTY_PATH)
  copier.settle(to.fd, xattrPath(from.fd, dot), stat)
  extra?.copy(Buffer.from(source), Buffer.from(target), stat)
  return { reflinked: copier.reflinked }
}

const dot = Buffer.from('.')

class TreeCopier {
  readonly #options: CopyOptions
  readonly #content: ContentCopier
  readonly #root: number
  readonly #target: Descent
  readonly #extra: ExtraAttributes | undefined
  readonly #devices = !inUserNamespace()
  readonly #owner = new NewOwner()
  /** Of the directories while they are filled; undefined where one was there before. */
  #group: number | undefined
  /** Where in the copy an inode of the source with several names is already. */
  readonly #copied = new Map<string, Buffer>()

  constructor(
    root: number,
    target: Descent,
    options: CopyOptions,
    check: () => void,
    extra: ExtraAttributes | undefined,
  ) {
    this.#extra = extra
    this.#options = options
    this.#content = new ContentCopier(check)
    this.#root = root
    this.#target = target
    // Directories get theirs when all that is in them is made, and begin with that of the one that they are in.
    this.#group = statx(root, '', AT_EMPTY_PATH).gid
  }

  get reflinked(): boolean {
    return this.#content.reflinked
  }

  /** @returns whether it was a directory, which is now entered on the target's side */
  add(entry: TreeEntry): boolean {
    const { directory, name, stat } = entry
    if (this.#extra?.create(xattrPath(directory, name), xattrPath(this.#target.fd, name), stat) === true)
      return false
    if (isDirectory(stat)) {
      if (!makeDirectory(this.#target.fd, name)) this.#group = undefined
      this.#target.enter(name)
      return true
    }
    if (!this.#link(entry)) this.#create(entry)
    return false
  }

  leaveDirectory({ directory, name, stat }: TreeEntry): void {
    const source = xattrPath(directory, name)
    this.settle(this.#target.fd, source, stat)
    this.#target.leave()
    this.#extra?.copy(source, xattrPath(this.#target.fd, name), stat)
  }

  #link(entry: TreeEntry): boolean {
    const { directory, name, path, stat } = entry
    if (this.#options.mode === 'hardlink') return linked(() => linkat(directory, name, this.#target.fd, name))
    if (stat.nlink < 2) return false
    const key = `${stat.dev}:${stat.ino}`
    const first = this.#copied.get(key)
    if (first === undefined) {
      this.#copied.set(key, path)
      return false
    }
    return linked(() => linkat(this.#root, first, this.#target.fd, name))
  }

  #create(entry: TreeEntry): void {
    const { directory, name, stat } = entry
    const target = this.#target.fd
    switch (stat.mode & S.IFMT) {
      case S.IFREG:
        this.#createFile(entry)
        return
      case S.IFLNK:
        symlinkat(readlinkat(directory, name), target, name)
        break
      case S.IFIFO:
      case S.IFSOCK:
        mknodat(target, name, (stat.mode & S.IFMT) | 0o600, 0)
        break
      default:
        if (!this.#devices && !isOverlayWhiteout(stat)) return
        mknodat(target, name, (stat.mode & S.IFMT) | 0o600, makedev(stat.rdevMajor, stat.rdevMinor))
    }
    fchownat(target, name, stat.uid, stat.gid, AT_SYMLINK_NOFOLLOW)
    const path = xattrPath(target, name)
    this.#copyXattrs(xattrPath(directory, name), (attribute, value) => lsetxattr(path, attribute, value))
    if ((stat.mode & S.IFMT) !== S.IFLNK) fchmodat(target, name, stat.mode & permissions)
    utimensat(target, name, atimeOf(stat), mtimeOf(stat), AT_SYMLINK_NOFOLLOW)
    this.#extra?.copy(xattrPath(directory, name), path, stat)
  }

  #createFile({ directory, name, stat }: TreeEntry): void {
    using from = new Descriptor(openat(directory, name, O.RDONLY | O.NOFOLLOW | O.NONBLOCK))
    using to = new Descriptor(openat(this.#target.fd, name, O.WRONLY | O.CREAT | O.EXCL, 0o600))
    this.#content.copy(from.fd, to.fd, stat)
    const isOwned = this.#owner.has(to.fd, stat, this.#group)
    copyAttributes(to.fd, from.fd, stat, this.#options.overlayXattrs, isOwned)
    this.#extra?.copy(xattrPath(directory, name), xattrPath(this.#target.fd, name), stat)
  }

  settle(fd: number, source: Buffer | number, stat: Stat): void {
    copyAttributes(fd, source, stat, this.#options.overlayXattrs)
  }

  #copyXattrs(source: Buffer, set: (name: string, value: Buffer) => void): void {
    copyXattrs(source, set, this.#options.overlayXattrs)
  }
}

/** False where the inode has all the names that its filesystem allows (65 000 on ext4): then it is copied. */
function linked(link: () => void): boolean {
  try {
    link()
    return true
  } catch (error) {
    if (isSystemError(error, 'EMLINK')) return false
    throw error
  }
}

/** @returns false when it was there */
function makeDirectory(parent: number, name: Buffer): boolean {
  try {
    mkdirat(parent, name, 0o700)
    return true
  } catch (error) {
    if (!isSystemError(error, 'EEXIST')) throw error
    return false
  }
}
