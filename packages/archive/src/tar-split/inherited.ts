import { cleanName, type EntryPath, parentOf, baseOf } from '../apply/entry-path.ts'
import { meaningOf } from '../apply/whiteout.ts'
import type { TarHeader } from '../tar/header.ts'
import type { TarHandler } from '../tar/parser.ts'
import type { FileRecord } from './record.ts'

/** What the tree of a layer has from the layers below, where it is a copy of them: files, by their records. */
export class InheritedFiles implements TarHandler {
  readonly #files = new Map<EntryPath, FileRecord>()
  /** Every directory that a file is in, at any depth. */
  readonly #directories = new Set<EntryPath>()
  /** Of the tar that is being told. */
  readonly #own = new Set<EntryPath>()
  /** All that was ever told of a name, whichever directory it was said to be in. */
  readonly #namesakes = new Map<string, FileRecord[]>()
  readonly #deleted = new Set<string>()

  #isLower = true

  /** The next tar begins. @param isLower it is not the layer's own, which only hides what is below */
  next(isLower: boolean): void {
    this.#own.clear()
    this.#isLower = isLower
  }

  header(header: TarHeader): void {
    const path = cleanName(header.name)
    if (path === undefined || path === '') return
    const meaning = meaningOf(path, 'remove')
    if (meaning.kind === 'whiteout') {
      this.#deleted.add(meaning.name)
      this.#drop(`${meaning.directory}/${meaning.name}`.replace(/^\//, ''))
    } else if (meaning.kind === 'opaque') this.#dropBelow(meaning.directory)
    else if (header.type === 'directory')
      // It may be in a file's place.
      this.#files.delete(path)
    else if (meaning.kind === 'entry') {
      this.#drop(path)
      // Of what is empty there is no record.
      if (this.#isLower && header.type === 'file' && header.size === 0 && header.sparse === undefined)
        this.note({ kind: 'file', name: header.name, size: 0, checksum: undefined })
    }
  }

  data(): void {}

  /** A file of the tar that is being told, after its header. */
  note(record: FileRecord): void {
    const path = cleanName(record.name)
    if (path === undefined) return
    this.#files.set(path, record)
    this.#own.add(path)
    for (let at = parentOf(path); at !== '' && !this.#directories.has(at); at = parentOf(at))
      this.#directories.add(at)
    const known = this.#namesakes.get(baseOf(path))
    if (known === undefined) this.#namesakes.set(baseOf(path), [record])
    else known.push(record)
  }

  records(): Iterable<FileRecord> {
    return this.#files.values()
  }

  /**
   * What else a file may be that is not what its record says: a directory has several names where a link leads to it, and an entry
   * by another of them has changed or deleted the same file.
   */
  otherwise(record: FileRecord): { readonly records: readonly FileRecord[]; readonly mayBeGone: boolean } {
    const name = baseOf(cleanName(record.name) ?? '')
    const others = (this.#namesakes.get(name) ?? []).filter((other) => other !== record)
    return {
      records: others.map(({ size, checksum }) => ({ ...record, size, checksum })),
      mayBeGone: this.#deleted.has(name),
    }
  }

  #drop(path: EntryPath): void {
    this.#files.delete(path)
    if (!this.#directories.delete(path)) return
    const below = `${path}/`
    for (const file of this.#files.keys()) if (file.startsWith(below)) this.#files.delete(file)
  }

  #dropBelow(directory: EntryPath): void {
    const below = directory === '' ? '' : `${directory}/`
    for (const file of this.#files.keys())
      if (file.startsWith(below) && !this.#own.has(file)) this.#files.delete(file)
  }
}
