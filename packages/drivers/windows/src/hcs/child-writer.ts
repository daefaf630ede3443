/**
 * Writes a layer that has others below into a folder, in the form in which Windows takes it: each file with its
 * attributes, then its backup streams; directories have a file for theirs beside them.
 *
 * @see https://github.com/microsoft/hcsshim/blob/v0.8.25/internal/wclayer/legacy.go
 */
import { existsSync, linkSync, lstatSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { BackupFile, longPath } from '@graphdriver/sys/windows'
import {
  alternateHeader,
  fileAttribute,
  invalidLayer,
  leadingStreams,
  type LayerHandler,
  type WindowsFile,
} from '@graphdriver/windows-layer'
import { fileIn } from './layout.ts'
import { PlainFile } from './plain-file.ts'
import { basicInfoOf, setDirectoryTimes } from './times.ts'

/** What stands beside a directory, for its own streams. */
export const companion = '.$wcidirs$'

interface Link {
  readonly name: string
  readonly target: string
  readonly targetRoot: string
}

export class ChildWriter implements LayerHandler, Disposable {
  readonly #folder: string
  readonly #layer: string
  readonly #chain: readonly string[]
  readonly #names = new Set<string>()
  readonly #deleted: string[] = []
  readonly #links: Link[] = []
  /** What is deleted and linked in a directory moves its times, so they are set again in the end. */
  readonly #directories: WindowsFile[] = []
  /** Directories that are reparse points: nothing may be made in them meanwhile. */
  readonly #late: string[] = []
  #current: PlainFile | BackupFile | undefined

  /**
   * @param folder empty, for Windows to import from
   * @param layer the layer's own
   * @param chain folders of the layers below, nearest first
   */
  constructor(folder: string, layer: string, chain: readonly string[]) {
    this.#folder = folder
    this.#layer = layer
    this.#chain = chain
  }

  [Symbol.dispose](): void {
    this.#current?.[Symbol.dispose]()
    this.#current = undefined
  }

  file(file: WindowsFile): void {
    const target = fileIn(this.#folder, file.name)
    const isDirectory = (file.attributes & fileAttribute.directory) !== 0
    this.#makeAbove(file.name)
    this.#replace(target, isDirectory)
    if (isDirectory && file.reparsePoint === undefined) {
      mkdirSync(longPath(target), { recursive: true })
      if (isBelowFiles(file.name)) this.#directories.push(file)
    } else if (isDirectory) this.#late.push(target)
    const written = isDirectory ? `${target}${companion}` : target
    this.#names.add(file.name.toLowerCase())
    if (/^hives\//i.test(file.name)) {
      const hive = BackupFile.openToWrite(written, 'createNew')
      this.#current = hive
      hive.setBasicInfo(basicInfoOf(file, 0))
      hive.write(leadingStreams({ ...file, security: undefined }), false)
      return
    }
    this.#current = new PlainFile(written, basicInfoOf(file, 0))
    this.#write(leading(file.attributes))
    this.#write(leadingStreams(file))
  }

  stream(name: string, size: number): void {
    this.#write(alternateHeader(name, size))
  }

  data(chunk: Uint8Array): void {
    this.#write(chunk)
  }

  end(): void {
    this.#current?.[Symbol.dispose]()
    this.#current = undefined
  }

  /** @throws GD_ARCHIVE_INVALID for a target that neither this layer has nor one below */
  link(name: string, target: string): void {
    if (!isBelowFiles(name) || !isBelowFiles(target))
      throw invalidLayer(`it is a hard link to '${target}', not in Files`, name)
    const targetRoot = this.#names.has(target.toLowerCase())
      ? this.#layer
      : this.#chain.find((below) => existsSync(fileIn(below, target)))
    if (targetRoot === undefined)
      throw invalidLayer(
        `it is a hard link to '${target}', which is no file of the layer or those below`,
        name,
      )
    this.#links.push({ name, target, targetRoot })
    this.#names.add(name.toLowerCase())
  }

  remove(name: string): void {
    if (!isBelowFiles(name)) throw invalidLayer('it deletes what is not in Files', name)
    this.#deleted.push(name)
  }

  /** Before Windows imports the folder. */
  settle(): void {
    for (const directory of this.#late) mkdirSync(longPath(directory), { recursive: true })
  }

  /** After the import: what is deleted, and further names of files. */
  finish(): void {
    for (const name of this.#deleted) this.#delete(name)
    for (const { name, target, targetRoot } of this.#links) {
      const at = longPath(fileIn(this.#layer, name))
      rmSync(at, { recursive: true, force: true })
      mkdirSync(path.dirname(at), { recursive: true })
      linkSync(longPath(fileIn(targetRoot, target)), at)
    }
    setDirectoryTimes(this.#layer, this.#directories)
  }

  /** Deletes what the layers below have, and leaves what this one has of the name. */
  #delete(name: string): void {
    const at = longPath(fileIn(this.#layer, name))
    const found = lstatSync(at, { throwIfNoEntry: false })
    if (found === undefined) return
    const isOurs = this.#names.has(name.toLowerCase())
    if (!isOurs) rmSync(at, { recursive: true, force: true })
    else if (found.isDirectory()) for (const child of readdirSync(at)) this.#delete(`${name}/${child}`)
  }

  /** Directories that the tar leaves out; Windows takes none without its streams. */
  #makeAbove(name: string): void {
    const above = path.posix.dirname(name)
    if (above === '.' || this.#names.has(above.toLowerCase())) return
    this.#makeAbove(above)
    this.#names.add(above.toLowerCase())
    const target = fileIn(this.#folder, above)
    mkdirSync(longPath(target), { recursive: true })
    writeFileSync(longPath(`${target}${companion}`), leading(fileAttribute.directory))
  }

  /** The last of an entry's name in a tar is the one. */
  #replace(target: string, isDirectory: boolean): void {
    const found = lstatSync(longPath(target), { throwIfNoEntry: false })
    if (found === undefined) return
    if (!isDirectory || !found.isDirectory()) rmSync(longPath(target), { recursive: true, force: true })
    rmSync(longPath(`${target}${companion}`), { force: true })
  }

  #write(bytes: Uint8Array): void {
    this.#current?.write(bytes, false)
  }
}

/** What is before the streams of a file. */
function leading(attributes: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(attributes >>> 0)
  return bytes
}

function isBelowFiles(name: string): boolean {
  return /^files\/./i.test(name)
}
