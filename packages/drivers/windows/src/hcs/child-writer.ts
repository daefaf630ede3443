/**
 * Writes a layer that has others below into a folder, in the form in which Windows takes it: each file with its
 * attributes, then its backup streams; directories have a file for theirs beside them.
 *
 * @see https://github.com/microsoft/hcsshim/blob/v0.8.25/internal/wclayer/legacy.go
 */
import { existsSync, linkSync, lstatSync, mkdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { BackupFile } from '@graphdriver/sys/windows'
import {
  alternateHeader,
  fileAttribute,
  invalidLayer,
  leadingStreams,
  type LayerHandler,
  type WindowsFile,
} from '@graphdriver/windows-layer'
import { PlainFile } from './plain-file.ts'
import { basicInfoOf } from './times.ts'

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
    const target = this.#in(this.#folder, file.name)
    const isDirectory = (file.attributes & fileAttribute.directory) !== 0
    if (isDirectory && file.reparsePoint === undefined) mkdirSync(target, { recursive: true })
    else if (isDirectory) this.#late.push(target)
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
    const attributes = Buffer.alloc(4)
    attributes.writeUInt32LE(file.attributes >>> 0)
    this.#write(attributes)
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
      : this.#chain.find((below) => existsSync(this.#in(below, target)))
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
    for (const directory of this.#late) mkdirSync(directory, { recursive: true })
  }

  /** After the import: what is deleted, and further names of files. */
  finish(): void {
    for (const name of this.#deleted) rmSync(this.#in(this.#layer, name), { recursive: true, force: true })
    for (const { name, target, targetRoot } of this.#links) {
      const at = this.#in(this.#layer, name)
      if (lstatSync(at, { throwIfNoEntry: false }) !== undefined) rmSync(at, { recursive: true, force: true })
      linkSync(this.#in(targetRoot, target), at)
    }
  }

  #write(bytes: Uint8Array): void {
    this.#current?.write(bytes, false)
  }

  #in(root: string, name: string): string {
    return path.join(root, ...name.split('/'))
  }
}

function isBelowFiles(name: string): boolean {
  return /^files\/./i.test(name)
}
