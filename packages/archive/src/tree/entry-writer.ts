import { closeSync, readSync } from 'node:fs'
import { AT_EMPTY_PATH, isSystemError, O, openat, readlinkat, S, type Stat, statx } from '@graphdriver/sys'
import type { XattrRecord } from '../tar/header.ts'
import { type TarEntry, TarWriter } from '../tar/writer.ts'
import { portableCapability, portableXattrs } from './portable-xattrs.ts'
import type { TreeEntry } from './walk.ts'

const empty = Buffer.alloc(0)
const noXattrs: readonly XattrRecord[] = []
const slash = Buffer.from('/')

/** What an entry of a tree is in an archive, by the type bits of its mode; sockets are nothing there. */
export const entryTypes: ReadonlyMap<number, TarEntry['type']> = new Map([
  [S.IFREG, 'file'],
  [S.IFDIR, 'directory'],
  [S.IFLNK, 'symlink'],
  [S.IFCHR, 'char'],
  [S.IFBLK, 'block'],
  [S.IFIFO, 'fifo'],
])

/** Puts entries of a tree into an archive: each inode once, later names of it as hard links to the first. */
export class EntryWriter {
  readonly #tar: TarWriter
  readonly #check: () => void
  readonly #firstNames = new Map<string, Buffer>()

  constructor(sink: (chunk: Uint8Array) => void, check: () => void) {
    this.#tar = new TarWriter(sink)
    this.#check = check
  }

  /** Adds an entry as it is now. What vanishes before it is read is left out, as if the walk had come later. */
  add(entry: TreeEntry): void {
    const type = entryTypes.get(entry.stat.mode & S.IFMT)
    if (type === undefined) return
    try {
      if (type === 'directory') this.#tar.entry(describe(entry, type, Buffer.concat([entry.path, slash])))
      else if (!this.#addLink(entry)) this.#addFirst(entry, type)
    } catch (error) {
      if (!(error instanceof Vanished)) throw error
    }
  }

  /** An entry without content that is in the archive format only: a whiteout or an opaque mark. */
  addMarker(
    path: Buffer,
    owner: { readonly mode: number; readonly uid: number; readonly gid: number; readonly mtimeNs: bigint },
  ): void {
    this.#tar.entry({
      name: path,
      type: 'file',
      ...owner,
      size: 0,
      linkName: empty,
      devMajor: 0,
      devMinor: 0,
      xattrs: noXattrs,
    })
  }

  finish(): void {
    this.#tar.finish()
  }

  #addLink(entry: TreeEntry): boolean {
    if (entry.stat.nlink < 2) return false
    const first = this.#firstNames.get(inodeKey(entry.stat))
    if (first === undefined) return false
    this.#tar.entry({ ...describe(entry, 'hardlink', entry.path), linkName: first, xattrs: noXattrs })
    return true
  }

  #addFirst(entry: TreeEntry, type: TarEntry['type']): void {
    if (type === 'file' && entry.stat.size > 0) this.#addContent(entry)
    else {
      const linkName = type === 'symlink' ? orVanished(() => readlinkat(entry.directory, entry.name)) : empty
      this.#tar.entry({ ...describe(entry, type, entry.path), linkName })
    }
    if (entry.stat.nlink > 1) this.#firstNames.set(inodeKey(entry.stat), entry.path)
  }

  #addContent(entry: TreeEntry): void {
    const flags = O.RDONLY | O.NOFOLLOW | O.NONBLOCK | O.NOCTTY
    const fd = orVanished(() => openat(entry.directory, entry.name, flags))
    try {
      // Another file may have taken the name since the walk saw it, even a pipe.
      const stat = statx(fd, '', AT_EMPTY_PATH)
      if ((stat.mode & S.IFMT) !== S.IFREG) throw new Vanished()
      this.#tar.entry(describe({ ...entry, stat }, 'file', entry.path))
      this.#copy(fd, stat.size)
    } finally {
      closeSync(fd)
    }
  }

  /** Exactly as many bytes as the header announced: a file that grew is cut, one that shrank ends in zeros. */
  #copy(fd: number, size: number): void {
    for (let left = size; left > 0;) {
      const space = this.#tar.space()
      const length = readSync(fd, space, 0, Math.min(left, space.length), null)
      if (length === 0) {
        this.#tar.fill()
        return
      }
      this.#tar.wrote(length)
      left -= length
      if (left > 0) this.#check()
    }
  }
}

class Vanished extends Error {}

function orVanished<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ELOOP', 'EINVAL', 'ENXIO')) throw new Vanished()
    throw error
  }
}

function inodeKey(stat: Stat): string {
  return `${stat.dev}:${stat.ino}`
}

/** Header fields from what lstat says; the link target is the caller's. */
function describe(entry: TreeEntry, type: TarEntry['type'], name: Buffer): TarEntry {
  const { stat } = entry
  const isDevice = type === 'char' || type === 'block'
  return {
    name,
    type,
    mode: stat.mode,
    uid: stat.uid,
    gid: stat.gid,
    size: type === 'file' ? stat.size : 0,
    mtimeNs: BigInt(stat.mtimeSec) * 1_000_000_000n + BigInt(stat.mtimeNsec),
    linkName: empty,
    devMajor: isDevice ? stat.rdevMajor : 0,
    devMinor: isDevice ? stat.rdevMinor : 0,
    xattrs: type === 'file' || type === 'directory' ? xattrsOf(entry) : noXattrs,
  }
}

function xattrsOf(entry: TreeEntry): readonly XattrRecord[] {
  const found = portableXattrs(entry.directory, entry.name)
  return found.map(([name, value]) => [
    name,
    name === 'security.capability' ? portableCapability(value) : value,
  ])
}
