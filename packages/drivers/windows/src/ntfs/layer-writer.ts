/** Puts a Windows layer into a tree on NTFS, which holds the layers below already. */
import { closeSync, openSync, unlinkSync, writeSync } from 'node:fs'
import { located, removeEntry, xattrPath } from '@graphdriver/archive/trees'
import { linkat, O, openat, S } from '@graphdriver/sys'
import {
  encodeExtendedAttributes,
  encodeReparsePoint,
  fileAttribute,
  invalidLayer,
  type LayerHandler,
  type WindowsFile,
} from '@graphdriver/windows-layer'
import {
  setAttributes,
  setExtendedAttributes,
  setReparsePoint,
  setSecurity,
  setTimes,
  streamPath,
  streamsOf,
} from './attributes.ts'
import { makePlain } from './extra.ts'
import { Folders, type Place } from './folders.ts'

type DirectoryTimes = Pick<WindowsFile, 'name' | 'created' | 'written' | 'accessed'>

/** What is being written. */
interface Current {
  readonly file: WindowsFile
  readonly path: Buffer
  /** Of the stream whose bytes come. */
  fd: number | undefined
}

export class NtfsLayerWriter implements LayerHandler, Disposable {
  readonly #root: string
  readonly #folders: Folders
  readonly #check: () => void
  /** What is made in a directory moves its times, so they are set in the end. */
  readonly #directories: DirectoryTimes[] = []
  #current: Current | undefined
  #entries = 0
  #contentBytes = 0

  /** @param check throws when the work is no longer wanted */
  constructor(root: string, check: () => void) {
    this.#root = root
    this.#folders = new Folders(root)
    this.#check = check
  }

  get entries(): number {
    return this.#entries
  }

  /** Of unnamed streams. */
  get contentBytes(): number {
    return this.#contentBytes
  }

  [Symbol.dispose](): void {
    this.#closeStream()
    this.#folders[Symbol.dispose]()
  }

  file(file: WindowsFile): void {
    this.#entry(file.name, () => {
      const place = this.#folders.locate(file.name)
      const path = xattrPath(place.directory, Buffer.from(place.name))
      const isDirectory = (file.attributes & fileAttribute.directory) !== 0
      const isPlain = file.reparsePoint === undefined
      // A directory that is there already gets just what the layer says.
      if (isDirectory && isPlain && isDirectoryAt(place)) removeStreams(path)
      else {
        this.#remove(place, file.name)
        makePlain(path, isDirectory)
        this.#folders.made(place)
      }
      const fd =
        isDirectory || !isPlain ? undefined : openat(place.directory, place.name, O.WRONLY | O.NOFOLLOW)
      this.#current = { file, path, fd }
      this.#contentBytes += file.size
    })
  }

  stream(name: string): void {
    const current = this.#writing()
    this.#naming(current.file.name, () => {
      this.#closeStream()
      current.fd = openSync(streamPath(current.path, name), 'w', 0o600)
    })
  }

  data(chunk: Uint8Array): void {
    this.#check()
    const { file, fd } = this.#writing()
    if (fd === undefined) return
    this.#naming(file.name, () => {
      for (let at = 0; at < chunk.length;) at += writeSync(fd, chunk, at)
    })
  }

  end(): void {
    const { file, path } = this.#writing()
    this.#naming(file.name, () => {
      this.#closeStream()
      this.#settle(file, path)
    })
    this.#current = undefined
  }

  link(name: string, target: string): void {
    this.#entry(name, () => {
      const source = this.#folders.locate(target)
      if (source.stat === undefined || isDirectoryAt(source))
        throw invalidLayer(
          `it is a hard link to '${target}', which is no file of the layer or those below`,
          name,
        )
      // Looking for the name may close directories that were open.
      const from = openat(source.directory, '.', O.RDONLY | O.DIRECTORY)
      try {
        const place = this.#folders.locate(name)
        if (place.stat?.ino === source.stat.ino) return
        this.#remove(place, name)
        linkat(from, source.name, place.directory, place.name)
        this.#folders.made(place)
      } finally {
        closeSync(from)
      }
    })
  }

  remove(name: string): void {
    this.#entry(name, () => this.#remove(this.#folders.locate(name), name))
  }

  /** When the tar has ended well. */
  finish(): void {
    for (const times of this.#directories.toReversed()) {
      this.#naming(times.name, () => {
        const { directory, name, stat } = this.#folders.locate(times.name)
        if (stat !== undefined) setTimes(xattrPath(directory, Buffer.from(name)), times)
      })
    }
  }

  #settle(file: WindowsFile, path: Buffer): void {
    const { extendedAttributes, security, attributes, reparsePoint, name } = file
    const isDirectory = (attributes & fileAttribute.directory) !== 0
    if (extendedAttributes.length > 0)
      setExtendedAttributes(path, encodeExtendedAttributes(extendedAttributes, name))
    else if (isDirectory) setExtendedAttributes(path, undefined)
    if (security !== undefined) setSecurity(path, security)
    if (reparsePoint !== undefined) setReparsePoint(path, encodeReparsePoint(reparsePoint, name))
    setAttributes(path, attributes)
    if (isDirectory && reparsePoint === undefined) {
      const { created, written, accessed } = file
      this.#directories.push({ name, created, written, accessed })
    } else setTimes(path, file)
  }

  #remove(place: Place, path: string): void {
    if (place.stat === undefined) return
    // The kernel would go on believing in the streams for a second, also of the next file of the name.
    removeStreams(xattrPath(place.directory, Buffer.from(place.name)))
    this.#folders.removing(place, path)
    removeEntry(`/proc/self/fd/${place.directory}`, Buffer.from(place.name), () => (this.#check(), true))
  }

  #entry(name: string, action: () => void): void {
    this.#check()
    this.#entries++
    this.#naming(name, action)
  }

  /** An error of a call comes out with the path that it is about. */
  #naming(name: string, action: () => void): void {
    located(this.#root, Buffer.from(name), action)
  }

  #writing(): Current {
    if (this.#current === undefined) throw new Error('bytes of a layer come after their file')
    return this.#current
  }

  #closeStream(): void {
    const fd = this.#current?.fd
    if (fd === undefined || this.#current === undefined) return
    this.#current.fd = undefined
    closeSync(fd)
  }
}

function isDirectoryAt({ stat }: Place): boolean {
  return stat !== undefined && (stat.mode & S.IFMT) === S.IFDIR
}

function removeStreams(path: Buffer): void {
  for (const name of streamsOf(path)) unlinkSync(streamPath(path, name))
}
