import { closeSync, readSync } from 'node:fs'
import { AT_EMPTY_PATH, isSystemError, O, openat, RESOLVE, S, statx } from '@graphdriver/sys'
import { baseOf, cleanName, parentOf, pathBytes, shownName } from '../apply/entry-path.ts'
import { Crc64 } from '../crc64.ts'
import { ParentDirectories } from '../tree/parent-directories.ts'
import { corrupt, type Difference, type FileRecord } from './record.ts'

/**
 * Opens the files of a layer by their names in the archive, as they were extracted: symlinks to directories are
 * followed within the root, the last component is the file itself.
 */
export class LayerFiles implements Disposable {
  readonly #root: string
  readonly #directories: ParentDirectories
  /** One for all: making one costs more than most files. */
  readonly #crc = new Crc64()

  constructor(root: string) {
    this.#root = root
    this.#directories = new ParentDirectories(root, RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS)
  }

  /**
   * The file, which is to be through with before the next one is opened.
   *
   * @throws GD_LAYER_CORRUPT when it is no file of the recorded size
   */
  open(record: FileRecord): LayerFile {
    const fd = this.#openFile(record)
    const stat = statx(fd, '', AT_EMPTY_PATH)
    if ((stat.mode & S.IFMT) === S.IFREG && stat.size === record.size)
      return new LayerFile(fd, record, this.#root, this.#crc)
    closeSync(fd)
    const found = (stat.mode & S.IFMT) === S.IFREG ? `${stat.size} bytes` : 'no file'
    const expected = `${record.size} bytes`
    const what = `'${shownName(record.name)}' should have ${expected}, found ${found}`
    throw corrupt(this.#root, what, record.name, { expected, found })
  }

  #openFile({ name }: FileRecord): number {
    const path = cleanName(name) ?? ''
    try {
      const directory = this.#directories.directory(Buffer.from(parentOf(path), 'latin1'))
      const flags = O.RDONLY | O.NOFOLLOW | O.NONBLOCK | O.NOCTTY
      if (directory !== undefined && path !== '') return openat(directory, pathBytes(baseOf(path)), flags)
    } catch (error) {
      if (!isSystemError(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO', 'ENAMETOOLONG')) throw error
    }
    const difference = { expected: 'a file', found: 'nothing' }
    throw corrupt(this.#root, `'${shownName(name)}' is missing`, name, difference)
  }

  [Symbol.dispose](): void {
    this.#directories[Symbol.dispose]()
  }
}

/** One file of a layer, read from its beginning to its end and then verified. */
export class LayerFile implements Disposable {
  readonly #fd: number
  readonly #record: FileRecord
  readonly #layer: string
  readonly #crc: Crc64
  #left: number

  constructor(fd: number, record: FileRecord, layer: string, crc: Crc64) {
    crc.reset()
    this.#crc = crc
    this.#fd = fd
    this.#record = record
    this.#layer = layer
    this.#left = record.size
  }

  get left(): number {
    return this.#left
  }

  /** @returns bytes put into `space`, at least one. @throws GD_LAYER_CORRUPT for what was not registered */
  read(space: Buffer): number {
    const length = readSync(this.#fd, space, 0, Math.min(space.length, this.#left), null)
    if (length === 0) {
      const found = `${this.#record.size - this.#left} bytes`
      throw this.#changed('it ends early', { expected: `${this.#record.size} bytes`, found })
    }
    this.#crc.update(space.subarray(0, length))
    this.#left -= length
    if (this.#left === 0) this.#verify()
    return length
  }

  #verify(): void {
    const found = this.#crc.digest()
    const expected = this.#record.checksum
    if (expected === undefined || expected.equals(found)) return
    const [wanted, got] = [expected.toString('hex'), found.toString('hex')]
    throw this.#changed(`its CRC-64 should be ${wanted}, found ${got}`, {
      expected: `CRC-64 ${wanted}`,
      found: `CRC-64 ${got}`,
    })
  }

  #changed(how: string, difference: Difference): Error {
    const { name } = this.#record
    return corrupt(this.#layer, `'${shownName(name)}' was changed: ${how}`, name, difference)
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd)
  }
}
