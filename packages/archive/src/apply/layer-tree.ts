/**
 * Makes the things that entries describe, in the place of whatever has their name, and keeps count of what the layer
 * leaves behind.
 */
import {
  AT_SYMLINK_NOFOLLOW,
  futimens,
  isSystemError,
  linkat,
  makedev,
  mknodat,
  O,
  openat,
  S,
  statx,
  symlinkat,
  utimensat,
} from '@graphdriver/sys'
import type { TarHeader } from '../tar/header.ts'
import type { Directory } from './directory.ts'
import { DirectoryTree } from './directory-tree.ts'
import { invalidEntry, unsupportedEntry } from './entry-error.ts'
import { baseOf, type EntryPath, parentOf, pathBytes, shownName } from './entry-path.ts'
import { isOverlayXattr, LowerLayers } from './lower-layers.ts'
import {
  applyToLink,
  applyToName,
  applyToOpen,
  dropXattrs,
  linkDiffers,
  timesOf,
  type XattrFilter,
} from './metadata.ts'
import type { ApplyRequest } from './options.ts'
import { SideFiles } from './side-files.ts'
import { OverlayMarks } from './overlay-marks.ts'
import { removeLower, removeName } from './removal.ts'
import { passGate } from '../worker/gate.ts'
import { unshare } from './unshare.ts'

const newFile = O.WRONLY | O.CREAT | O.EXCL | O.NOFOLLOW
type NodeType = 'char' | 'block' | 'fifo'
const nodeTypes: Readonly<Record<NodeType, number>> = { char: S.IFCHR, block: S.IFBLK, fifo: S.IFIFO }

export class LayerTree implements Disposable {
  /** A layer has no business instructing overlayfs, which may come to stand on any directory. */
  readonly wantedXattr: XattrFilter = (name) => !isOverlayXattr(name)
  readonly #tree: DirectoryTree
  /** How deletions are recorded for overlayfs; without it they are carried out. */
  readonly #marks: OverlayMarks | undefined
  readonly #root: string
  readonly #shared: boolean
  readonly #side: SideFiles | undefined
  #contentBytes = 0
  #hasRoot = false

  /** @param check throws when the work is no longer wanted */
  constructor({ root, whiteouts, lowers, below, side, shared = false }: ApplyRequest, check: () => void) {
    this.#root = root
    this.#shared = shared
    this.#side = side === undefined ? undefined : new SideFiles(side)
    this.#tree = new DirectoryTree(root, {
      revive: (parent, name) => this.#revive(parent, name),
      lower: (parent, name) => this.#marks?.lower(parent, name),
      settle: () => this.#side?.settle(),
      settleIn: (directory) => this.#side?.settleIn(directory),
    })
    if (typeof whiteouts === 'string') return
    const xattr = `${whiteouts.xattr}.overlay.opaque`
    const ready = (): void => (below === undefined ? undefined : passGate(below, check))
    const lower = lowers === undefined ? undefined : new LowerLayers(lowers, xattr, ready)
    this.#marks = new OverlayMarks(this.#tree, xattr, lower)
  }

  /** Sum of the sizes of the non-directories made and still there, each inode once. */
  get contentBytes(): number {
    return this.#contentBytes
  }

  /** Whether the tar said what the root is like. */
  get hasRoot(): boolean {
    return this.#hasRoot
  }

  /** The directory at a path, made if need be. */
  directory(path: EntryPath): Directory {
    return this.#tree.make(path)
  }

  makeRoot(header: TarHeader): void {
    if (header.type !== 'directory')
      throw invalidEntry(header, 'would replace the root, which is a directory')
    this.#hasRoot = true
    this.#describe(this.#tree.root, header)
  }

  /** Begins to hand a file over to another thread. @returns where its content goes; undefined when it is to be made here */
  handOver(header: TarHeader, path: EntryPath, parent: Directory, name: string): SideFiles | undefined {
    const side = this.#side
    if (side?.begin(header, path, parent, name, () => this.#tree.fd(parent)) !== true) return undefined
    parent.own(name)
    this.#contentBytes += header.realSize
    return side
  }

  /** Finishes what another thread makes; nothing more is handed over. */
  finishSide(): void {
    this.#side?.end()
  }

  /** @returns the new file, open for writing; its metadata are to be set when it is written */
  makeFile(header: TarHeader, parent: Directory, name: string): number {
    const fd = this.#replacing(parent, name, (at) => openat(at, pathBytes(name), newFile, 0o600))
    parent.own(name)
    this.#contentBytes += header.realSize
    return fd
  }

  makeDirectory(header: TarHeader, parent: Directory, name: string): void {
    this.#side?.settleName(parent, name)
    const known = parent.child(name)
    this.#describe(known ?? this.#freshDirectory(parent, name), header)
  }

  makeSymlink(header: TarHeader, parent: Directory, name: string): void {
    const target = header.linkName
    if (target.length === 0) throw invalidEntry(header, 'is a symbolic link to nothing')
    this.#replacing(parent, name, (at) => symlinkat(target, at, pathBytes(name)))
    parent.own(name)
    this.#contentBytes += target.length
    applyToName(this.#tree.fd(parent), name, header, this.wantedXattr)
  }

  /** @param source the directory that holds the target, where that is not found by its path */
  makeHardLink(header: TarHeader, path: EntryPath, target: EntryPath, source?: Directory): void {
    const parent = this.#tree.make(parentOf(path))
    const name = baseOf(path)
    this.#side?.settle()
    const link = () => {
      const from = source ?? this.#tree.find(parentOf(target))
      if (from === undefined || target === '') throw missingTarget(header)
      try {
        linkat(this.#tree.fd(from), pathBytes(baseOf(target)), this.#tree.fd(parent), pathBytes(name))
      } catch (error) {
        if (isSystemError(error, 'ENOENT')) throw missingTarget(header)
        if (!isSystemError(error, 'EEXIST') || !this.#same(from, baseOf(target), parent, name)) throw error
      }
    }
    this.#replacing(parent, name, link)
    parent.own(name)
    if (this.#shared && source === undefined) this.#unshare(header, parent, name, target)
    applyToLink(this.#tree.fd(parent), name, header, this.wantedXattr)
  }

  /** @throws GD_ARCHIVE_UNSUPPORTED for a device without the privilege to make it, or that the filesystem cannot hold */
  makeNode(header: TarHeader, type: NodeType, parent: Directory, name: string): void {
    const device = type === 'fifo' ? 0n : makedev(header.devMajor, header.devMinor)
    try {
      this.#replacing(parent, name, (at) => mknodat(at, pathBytes(name), nodeTypes[type] | 0o600, device))
    } catch (error) {
      if (type === 'fifo' || !isSystemError(error, 'EPERM', 'EINVAL')) throw error
      // XFS has 9 bits for the major number and 18 for the minor.
      const reason = isSystemError(error, 'EPERM')
        ? 'making a device node needs CAP_MKNOD; run as root'
        : `this filesystem cannot hold device ${header.devMajor}:${header.devMinor}; use another, such as ext4`
      throw unsupportedEntry(header, reason, error)
    }
    parent.own(name)
    applyToName(this.#tree.fd(parent), name, header, this.wantedXattr)
  }

  /** Hides what the layers below have in a directory. */
  makeOpaque(directory: Directory): void {
    this.#side?.settle()
    if (this.#marks === undefined) removeLower(this.#tree, directory)
    else this.#marks.opaque(directory)
  }

  /** Hides what the layers below, or this one so far, have under a name. */
  makeWhiteout(header: TarHeader, parent: Directory, name: string): void {
    this.remove(parent, name)
    this.#marks?.whiteout(parent, name, header.uid, header.gid)
  }

  remove(parent: Directory, name: string): void {
    this.#side?.settle()
    this.#contentBytes -= removeName(this.#tree, parent, name).bytes
  }

  /** Gives every directory the times that it shall have; nothing may be made or removed after. */
  settleTimes(directory: Directory = this.#tree.root): void {
    for (const child of directory.children()) this.settleTimes(child)
    if (directory.times === undefined || !(directory.fresh || directory.listed || directory.touched)) return
    const { atimeNs, mtimeNs } = directory.times
    const above = directory.parent
    if (directory.fd !== -1 || above === undefined) futimens(this.#tree.fd(directory), atimeNs, mtimeNs)
    else {
      const path = pathBytes(directory.name)
      utimensat(this.#tree.fd(above), path, atimeNs, mtimeNs, AT_SYMLINK_NOFOLLOW)
    }
  }

  [Symbol.dispose](): void {
    // First: it works with the tree's descriptors.
    this.#side?.[Symbol.dispose]()
    this.#tree[Symbol.dispose]()
  }

  #describe(directory: Directory, header: TarHeader): void {
    directory.listed = true
    directory.times = timesOf(header)
    directory.group = header.gid
    const fd = this.#tree.fd(directory)
    dropXattrs(fd, header)
    applyToOpen(fd, header, this.wantedXattr)
  }

  #freshDirectory(parent: Directory, name: string): Directory {
    try {
      return this.#tree.create(parent, name)
    } catch (error) {
      if (!isSystemError(error, 'EEXIST')) throw error
    }
    const existing = this.#tree.child(parent, name)
    if (existing !== undefined) return existing
    this.remove(parent, name)
    return this.#hideBelow(this.#tree.create(parent, name))
  }

  /** A directory in the place of what hid everything below must go on hiding it. */
  #hideBelow(directory: Directory): Directory {
    this.#marks?.opaque(directory)
    return directory
  }

  /** What lies below something that this layer whited out before comes back as a directory of its own. */
  #revive(parent: Directory, name: string): Directory | undefined {
    if (this.#marks?.isWhiteout(parent, name) !== true) return undefined
    this.remove(parent, name)
    return this.#hideBelow(this.#tree.imply(parent, name))
  }

  /** A link to a file of other layers, whose entry says something else of the file than they do. */
  #unshare(header: TarHeader, parent: Directory, name: string, target: EntryPath): void {
    if (this.#tree.find(parentOf(target))?.owns(baseOf(target)) === true) return
    const fd = this.#tree.fd(parent)
    if (linkDiffers(fd, name, header, this.wantedXattr)) unshare(this.#root, fd, Buffer.from(name, 'latin1'))
  }

  /** Makes first and looks only when something is in the way, which in a new layer is never. */
  #replacing<Made>(parent: Directory, name: string, make: (parent: number) => Made): Made {
    this.#side?.settleName(parent, name)
    try {
      return make(this.#tree.fd(parent))
    } catch (error) {
      if (!isSystemError(error, 'EEXIST')) throw error
    }
    this.remove(parent, name)
    return make(this.#tree.fd(parent))
  }

  #same(one: Directory, oneName: string, other: Directory, otherName: string): boolean {
    const a = statx(this.#tree.fd(one), pathBytes(oneName), AT_SYMLINK_NOFOLLOW)
    const b = statx(this.#tree.fd(other), pathBytes(otherName), AT_SYMLINK_NOFOLLOW)
    return a.ino === b.ino && a.dev === b.dev
  }
}

function missingTarget(header: TarHeader): Error {
  const target = shownName(header.linkName)
  return invalidEntry(header, `is a hard link to '${target}', which is not there`)
}
