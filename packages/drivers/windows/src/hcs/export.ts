/** Makes a tar of a layer. */
import {
  closeSync,
  lstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { GraphDriverError } from '@graphdriver/core'
import { BackupFile, enableBackupPrivileges, longPath } from '@graphdriver/sys/windows'
import {
  type BackupMetadata,
  BackupParser,
  ContentReader,
  isReservedName,
  LayerTarWriter,
  MetadataCollector,
  type WindowsFile,
} from '@graphdriver/windows-layer'
import { companion } from './child-writer.ts'
import { fileIn } from './layout.ts'
import { infoOf, type Times, timesOf } from './times.ts'

/** Something that a layer has, or deletes. */
export interface Exported {
  /** Relative to the layer, with `/`. */
  readonly name: string
  /** Where its streams are; undefined for what is deleted. */
  readonly source: Source | undefined
}

interface Source {
  readonly path: string
  /** `transport`: four bytes of attributes, then its streams; `file`: the file itself. */
  readonly form: 'transport' | 'file'
  readonly isDirectory: boolean
  readonly security: boolean
}

/** A folder for Windows to export a layer to, deleted with this. */
export class ExportFolder implements Disposable {
  readonly path: string = mkdtempSync(path.join(tmpdir(), 'hcs'));

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true })
  }
}

/** What is in an export, sorted in each directory, deletions after what is there. @throws GD_LAYER_CORRUPT */
export function* entriesOfExport(folder: string): Generator<Exported> {
  const deleted = readTombstones(folder)
  const listed = function* (relative: string): Generator<Exported> {
    const directory = fileIn(folder, relative)
    for (const name of namesIn(directory)) {
      if (name.endsWith(companion) || (relative === '' && name === 'tombstones.txt')) continue
      const full = relative === '' ? name : `${relative}/${name}`
      if (isReservedName(name)) continue
      if (/^files\/\$recycle\.bin$/i.test(full)) continue
      const at = path.join(directory, name)
      const isDirectory = lstatSync(longPath(at)).isDirectory()
      const isTransport = /^files\//i.test(full)
      yield {
        name: full,
        source: isTransport
          ? { path: isDirectory ? `${at}${companion}` : at, form: 'transport', isDirectory, security: false }
          : { path: at, form: 'file', isDirectory, security: false },
      }
      if (isDirectory) yield* listed(full)
    }
    const names = deleted.get(relative.toLowerCase()) ?? []
    deleted.delete(relative.toLowerCase())
    for (const name of names) yield { name: `${relative}/${name}`, source: undefined }
  }
  yield* listed('')
  // In directories of which nothing else is told.
  for (const [directory, names] of deleted)
    for (const name of names) yield { name: `${directory}/${name}`, source: undefined }
}

/** What is in a base layer, from the layer's own folder. */
export function* entriesOfBase(layer: string): Generator<Exported> {
  enableBackupPrivileges()
  const listed = function* (relative: string): Generator<Exported> {
    const at = fileIn(layer, relative)
    const found = lstatSync(longPath(at), { throwIfNoEntry: false })
    if (found === undefined) return
    const isDirectory = found.isDirectory()
    yield { name: relative, source: { path: at, form: 'file', isDirectory, security: true } }
    if (isDirectory)
      for (const name of namesIn(at)) if (!isReservedName(name)) yield* listed(`${relative}/${name}`)
  }
  for (const part of ['Files', 'Hives', 'UtilityVM/Files']) yield* listed(part)
}

function namesIn(directory: string): readonly string[] {
  return readdirSync(longPath(directory)).toSorted((a, b) => Buffer.from(a).compare(Buffer.from(b)))
}

const head = '\ufeffVersion 1.0'

/** Names that are deleted, by the directory that they were in, in lower case. */
function readTombstones(folder: string): Map<string, readonly string[]> {
  const file = path.join(folder, 'tombstones.txt')
  const [first, ...lines] = readFileSync(file, 'utf8').split(/\r?\n/)
  if (first !== head)
    throw new GraphDriverError(
      'GD_LAYER_CORRUPT',
      `${file} is no list of deletions: it begins with '${first?.slice(0, 40)}'`,
      {
        id: folder,
        path: file,
      },
    )
  const deleted = new Map<string, readonly string[]>()
  for (const line of lines.filter((text) => text !== '')) {
    const parts = ['Files', ...line.replace(/^\\/, '').split('\\')]
    const name = parts.pop() ?? ''
    const directory = parts.join('/').toLowerCase()
    deleted.set(directory, [...(deleted.get(directory) ?? []), name])
  }
  return deleted
}

const bufferSize = 256 * 1024

/** The tar of these entries. @param reference what has the times of `Files` and `Hives`, which are Windows' own */
export async function* tarOf(
  entries: Iterable<Exported>,
  reference: string | undefined,
): AsyncGenerator<Uint8Array> {
  let chunks: Buffer[] = []
  const writer = new LayerTarWriter((chunk) => chunks.push(Buffer.from(chunk)))
  const take = (): readonly Buffer[] => {
    const taken = chunks
    chunks = []
    return taken
  }
  for (const { name, source } of entries) {
    if (source === undefined) writer.remove(name)
    else for (const _ of writeFile(writer, name, source, reference)) yield* take()
    yield* take()
  }
  writer.finish()
  yield* take()
}

/** Yields after each piece that it has written. */
function* writeFile(
  writer: LayerTarWriter,
  name: string,
  source: Source,
  reference: string | undefined,
): Generator<void> {
  const metadata = metadataOf(name, source)
  writer.file({
    name,
    ...infoFor(name, source, reference),
    ...metadata,
    size: source.isDirectory ? 0 : metadata.size,
  })
  const content = new ContentReader(
    metadata,
    { stream: (stream, size) => writer.stream(stream, size), data: (chunk) => writer.data(chunk) },
    name,
  )
  yield* streamsOf(source, new BackupParser(content, name))
  writer.end()
}

/** Data may stand before it, so that the streams are read once for this. */
function metadataOf(name: string, source: Source): BackupMetadata {
  const collector = new MetadataCollector(name)
  for (const _ of streamsOf(source, new BackupParser(collector, name)));
  return collector.result()
}

/** Tells a parser of all streams, a piece at a time. */
function* streamsOf({ path: file, form, security }: Source, parser: BackupParser): Generator<void> {
  const buffer = Buffer.alloc(bufferSize)
  if (form === 'file') {
    using opened = BackupFile.openToRead(file)
    for (let length = opened.read(buffer, security); length > 0; length = opened.read(buffer, security)) {
      parser.push(buffer.subarray(0, length))
      yield
    }
  } else {
    const fd = openSync(longPath(file), 'r')
    try {
      for (let at = 4, length = 1; length > 0; at += length) {
        length = readSync(fd, buffer, 0, buffer.length, at)
        if (length > 0) parser.push(buffer.subarray(0, length))
        yield
      }
    } finally {
      closeSync(fd)
    }
  }
  parser.finish()
}

/** Those of a file on its way, which are before its streams. */
function leadingAttributes(file: string): number {
  const fd = openSync(longPath(file), 'r')
  try {
    const bytes = Buffer.alloc(4)
    readSync(fd, bytes, 0, 4, 0)
    return bytes.readUInt32LE(0)
  } finally {
    closeSync(fd)
  }
}

function infoFor(
  name: string,
  { path: file, form, security }: Source,
  reference: string | undefined,
): Times & Pick<WindowsFile, 'attributes'> {
  const info = infoOf(file)
  const attributes = form === 'file' ? info.attributes : leadingAttributes(file)
  const isTop = /^(?:files|hives)$/i.test(name)
  const times = timesOf(isTop && reference !== undefined ? infoOf(reference) : info)
  if (form === 'transport' || security) return { ...times, attributes }
  // Those of files that Windows has just written say nothing.
  return { ...times, created: times.written, accessed: times.written, attributes }
}
