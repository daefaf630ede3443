/** Reads the tar of a Windows layer: files with all their streams, links, and what is deleted. */
import { type ArchiveLimits, type TarHandler, type TarHeader, TarParser } from '@graphdriver/archive'
import { fileOf, type WindowsFile } from './file.ts'
import { invalidLayer, unsupportedLayer } from './invalid.ts'
import { parseName } from './name.ts'

const deleted = '.wh.'

/** Whether a file of this name would say in a tar that another is deleted: no layer can have it. */
export function isReservedName(name: string): boolean {
  return name.split('/').some((part) => part.startsWith(deleted))
}

/** Hears of a layer in the order of its tar. Chunks are views, valid only during the call. */
export interface LayerHandler {
  /** `size` bytes of `data` follow, then its further streams, then `end`. */
  file(file: WindowsFile): void
  /** A further stream of the file: `size` bytes of `data` follow. */
  stream(name: string, size: number): void
  data(chunk: Uint8Array): void
  /** The file has no more streams. */
  end(): void
  /** Another name of a file of this layer or one below. */
  link(name: string, target: string): void
  /** Something of a layer below is not there any more. */
  remove(name: string): void
}

/** A synchronous push parser. */
export class LayerTarReader {
  readonly #parser: TarParser
  readonly #entries: LayerEntries

  constructor(handler: LayerHandler, limits?: ArchiveLimits) {
    this.#entries = new LayerEntries(handler)
    this.#parser = new TarParser(this.#entries, limits)
  }

  /** @throws GD_ARCHIVE_INVALID, GD_ARCHIVE_BREAKOUT, GD_ARCHIVE_UNSUPPORTED */
  push(chunk: Uint8Array): void {
    this.#parser.push(chunk)
  }

  /** @throws GD_ARCHIVE_INVALID for a tar that is cut */
  finish(): void {
    this.#parser.finish()
    this.#entries.finish()
  }
}

/** The same from entries that a `TarParser` has read. */
export class LayerEntries implements TarHandler {
  readonly #handler: LayerHandler
  /** The file whose streams may follow. */
  #owner: string | undefined

  constructor(handler: LayerHandler) {
    this.#handler = handler
  }

  header(header: TarHeader): void {
    const { path, stream } = parseName(header.name)
    if (stream !== undefined) {
      this.#stream(header, path, stream)
      return
    }
    this.finish()
    const base = path.slice(path.lastIndexOf('/') + 1)
    if (base.startsWith(deleted)) this.#handler.remove(shownName(path, base))
    else if (header.type === 'hardlink') this.#handler.link(path, parseName(header.linkName).path)
    else this.#file(header, path)
  }

  data(chunk: Uint8Array): void {
    // That something is deleted has no content, whatever the entry has.
    if (this.#owner !== undefined) this.#handler.data(chunk)
  }

  /** After the last entry. */
  finish(): void {
    if (this.#owner !== undefined) this.#handler.end()
    this.#owner = undefined
  }

  #file(header: TarHeader, path: string): void {
    const { type } = header
    if (type !== 'file' && type !== 'directory' && type !== 'symlink')
      throw unsupportedLayer(`Windows has no file of the type '${type}'`, path)
    if (header.sparse !== undefined) throw unsupportedLayer('a sparse file of GNU tar', path)
    this.#handler.file(fileOf(header, path))
    this.#owner = path
  }

  #stream({ type, size }: TarHeader, path: string, stream: string): void {
    if (type !== 'file' || path !== this.#owner)
      throw invalidLayer('it is a stream, and does not follow its file', `${path}:${stream}`)
    this.#handler.stream(stream.replace(/:\$DATA$/, ''), size)
  }
}

function shownName(path: string, base: string): string {
  const name = base.slice(deleted.length)
  // `.wh..` and `.wh...` would delete the directory itself, or the one above.
  if (name === '' || name === '.' || name === '..' || name.startsWith(deleted))
    throw invalidLayer('it says of nothing that it is deleted', path)
  return path.slice(0, path.length - base.length) + name
}
