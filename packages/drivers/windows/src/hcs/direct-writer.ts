/** Writes files of a layer where they are to be, as a program that restores a backup does. */
import { linkSync, lstatSync, mkdirSync, rmSync } from 'node:fs'
import { BackupFile } from '@graphdriver/sys/windows'
import {
  alternateHeader,
  fileAttribute,
  invalidLayer,
  leadingStreams,
  type LayerHandler,
  type WindowsFile,
} from '@graphdriver/windows-layer'
import { fileIn } from './layout.ts'
import { basicInfoOf, setDirectoryTimes } from './times.ts'

interface Current {
  readonly file: WindowsFile
  readonly opened: BackupFile
}

export class DirectWriter implements LayerHandler, Disposable {
  readonly #root: string
  readonly #replaces: boolean
  /** What is made in a directory moves its times, so they are set in the end. */
  readonly #directories: WindowsFile[] = []
  #current: Current | undefined

  /** @param replaces what is there gives way, as in a copy of a layer below; else nothing may be there */
  constructor(root: string, replaces: boolean) {
    this.#root = root
    this.#replaces = replaces
  }

  [Symbol.dispose](): void {
    this.#current?.opened[Symbol.dispose]()
    this.#current = undefined
  }

  file(file: WindowsFile): void {
    const target = this.#pathOf(file.name)
    const isDirectory = (file.attributes & fileAttribute.directory) !== 0
    const found = lstatSync(target, { throwIfNoEntry: false })
    if (this.#replaces && found !== undefined && !(isDirectory && found.isDirectory())) this.#remove(target)
    if (isDirectory) mkdirSync(target, { recursive: this.#replaces })
    const opened = BackupFile.openToWrite(target, isDirectory ? 'openExisting' : 'createNew')
    this.#current = { file, opened }
    opened.setBasicInfo(basicInfoOf(file, file.attributes))
    opened.write(leadingStreams(file), true)
  }

  stream(name: string, size: number): void {
    this.#writing().opened.write(alternateHeader(name, size), true)
  }

  data(chunk: Uint8Array): void {
    this.#writing().opened.write(chunk, true)
  }

  end(): void {
    const { file, opened } = this.#writing()
    // Not every filesystem leaves times alone once they were set.
    opened.setBasicInfo(basicInfoOf(file, 0))
    opened[Symbol.dispose]()
    this.#current = undefined
    if ((file.attributes & fileAttribute.directory) !== 0) this.#directories.push(file)
  }

  link(name: string, target: string): void {
    const at = this.#pathOf(name)
    if (this.#replaces) this.#remove(at)
    linkSync(this.#pathOf(target), at)
  }

  /** @throws GD_ARCHIVE_INVALID for what is not there */
  remove(name: string): void {
    if (!this.#replaces) throw invalidLayer('a base layer deletes nothing', name)
    const target = this.#pathOf(name)
    if (lstatSync(target, { throwIfNoEntry: false }) === undefined)
      throw invalidLayer('it deletes what is not there', name)
    this.#remove(target)
  }

  finish(): void {
    setDirectoryTimes(this.#root, this.#directories)
  }

  #pathOf(name: string): string {
    return fileIn(this.#root, name)
  }

  #remove(target: string): void {
    rmSync(target, { recursive: true, force: true })
  }

  #writing(): Current {
    if (this.#current === undefined) throw new Error('bytes of a layer come after their file')
    return this.#current
  }
}
