/** Makes a Windows layer of a tree on NTFS: what differs from another, in the form that Windows has for layers. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { located, ParentDirectories, type TreeChange, xattrPath } from '@graphdriver/archive/trees'
import { O, openat, readlinkat, S } from '@graphdriver/sys'
import {
  decodeExtendedAttributes,
  decodeReparsePoint,
  fileAttribute,
  isReservedName,
  LayerTarWriter,
  type ReparsePoint,
  unsupportedLayer,
  type WindowsFile,
} from '@graphdriver/windows-layer'
import { fold } from './folders.ts'
import {
  attributesOf,
  extendedAttributesOf,
  reparsePointOf,
  securityOf,
  streamPath,
  streamsOf,
  timesOf,
} from './attributes.ts'

type Entry = NonNullable<ReturnType<ParentDirectories['locate']>>

const buffer = Buffer.allocUnsafeSlow(256 * 1024)

/**
 * Writes these changes as a Windows layer. Links of Linux become those of Windows; sockets are left out. The sink's
 * chunks are valid only during the call.
 *
 * @param changes sorted by path
 * @throws GD_ARCHIVE_UNSUPPORTED for what Windows has not: devices, pipes, reparse points that no layer can say
 */
export function writeWindowsLayer(
  tree: string,
  changes: readonly TreeChange[],
  sink: (chunk: Uint8Array) => void,
  check: () => void,
): void {
  const writer = new LayerWriter(sink, check)
  const there = new Set(
    changes.filter(({ kind }) => kind !== 'delete').map(({ path }) => fold(path.toString())),
  )
  using parents = new ParentDirectories(tree)
  for (const { path, kind } of changes) {
    check()
    if (isReservedName(path.toString())) continue
    if (kind === 'delete') {
      // One that is there in another spelling would be deleted with it.
      if (!there.has(fold(path.toString()))) writer.remove(path.toString())
    } else
      located(tree, path, () => {
        const entry = parents.locate(path)
        if (entry !== undefined) writer.add(entry)
      })
  }
  writer.finish()
}

class LayerWriter {
  readonly #tar: LayerTarWriter
  readonly #check: () => void
  readonly #firstNames = new Map<bigint, string>()

  constructor(sink: (chunk: Uint8Array) => void, check: () => void) {
    this.#tar = new LayerTarWriter(sink)
    this.#check = check
  }

  remove(name: string): void {
    this.#tar.remove(name)
  }

  finish(): void {
    this.#tar.finish()
  }

  add(entry: Entry): void {
    const { stat } = entry
    const kind = stat.mode & S.IFMT
    if (kind === S.IFSOCK) return
    const name = entry.path.toString()
    if (kind !== S.IFDIR && stat.nlink > 1) {
      const first = this.#firstNames.get(stat.ino)
      if (first !== undefined) {
        this.#tar.link(name, first)
        return
      }
      this.#firstNames.set(stat.ino, name)
    }
    this.#addFile(entry, name)
  }

  #addFile(entry: Entry, name: string): void {
    const path = xattrPath(entry.directory, entry.name)
    const file = describe(entry, path, name)
    this.#tar.file(file)
    if (file.size > 0) {
      const fd = openat(entry.directory, entry.name, O.RDONLY | O.NOFOLLOW | O.NONBLOCK)
      this.#copy(fd, file.size)
    }
    // Through a reparse point another file's streams would be read.
    if (file.reparsePoint === undefined) for (const stream of streamsOf(path)) this.#addStream(path, stream)
    this.#tar.end()
  }

  #addStream(path: Buffer, name: string): void {
    const fd = openSync(streamPath(path, name), 'r')
    const { size } = fstatSync(fd)
    this.#tar.stream(name, size)
    this.#copy(fd, size)
  }

  /** Closes it. Exactly as many bytes as were announced: a file that shrank ends in zeros. */
  #copy(fd: number, size: number): void {
    try {
      for (let left = size; left > 0;) {
        this.#check()
        const wanted = Math.min(left, buffer.length)
        const length = readSync(fd, buffer, 0, wanted, null)
        if (length === 0) buffer.fill(0)
        const piece = buffer.subarray(0, length === 0 ? wanted : length)
        this.#tar.data(piece)
        left -= piece.length
      }
    } finally {
      closeSync(fd)
    }
  }
}

function describe(entry: Entry, path: Buffer, name: string): WindowsFile {
  const { stat } = entry
  const isRegular = (stat.mode & S.IFMT) === S.IFREG
  const list = extendedAttributesOf(path)
  const reparsePoint = linkOf(entry, path, name)
  return {
    name,
    attributes: attributesIn(path, reparsePoint !== undefined),
    ...timesOf(path, stat),
    security: securityOf(path),
    extendedAttributes: list === undefined ? [] : decodeExtendedAttributes(list, name),
    reparsePoint,
    size: isRegular && reparsePoint === undefined ? stat.size : 0,
  }
}

/** A link that Linux made is a file of the system's to NTFS. */
function attributesIn(path: Buffer, isLink: boolean): number {
  const attributes = attributesOf(path)
  if (!isLink || (attributes & fileAttribute.reparsePoint) !== 0) return attributes
  return ((attributes & ~fileAttribute.system) | fileAttribute.reparsePoint) >>> 0
}

function linkOf({ directory, name, stat }: Entry, path: Buffer, shown: string): ReparsePoint | undefined {
  const point = reparsePointOf(path)
  if (point !== undefined) return decodeReparsePoint(point, shown)
  switch (stat.mode & S.IFMT) {
    case S.IFREG:
    case S.IFDIR:
      return undefined
    case S.IFLNK: {
      const target = readlinkat(directory, name).toString()
      return { kind: 'symlink', target: target.replaceAll('/', '\\') }
    }
    default:
      throw unsupportedLayer('Windows has no devices and no named pipes among files; remove it', shown)
  }
}
