/** What is copied from and to: a path out here, one in a layer, or a tar on standard input or output. */
import { closeSync } from 'node:fs'
import path from 'node:path'
import { GraphDriverError } from '@graphdriver/core'
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  isSystemError,
  O,
  openat,
  openat2,
  RESOLVE,
  S,
  statx,
} from '@graphdriver/sys'
import { UsageError } from '../failure.ts'

export type Operand =
  | { readonly kind: 'tar' }
  | { readonly kind: 'local'; readonly path: string }
  | { readonly kind: 'layer'; readonly word: string; readonly path: string }

/** In a layer a path is absolute, so that names may have colons: `debian:stable:/etc/passwd`. */
export function operandOf(word: string): Operand {
  if (word === '-') return { kind: 'tar' }
  const [, layer, inside] = /^([^./].*?):(\/.*)$/s.exec(word) ?? []
  if (layer !== undefined && inside !== undefined) return { kind: 'layer', word: layer, path: inside }
  if (word === '') throw new UsageError('an empty path names nothing')
  return { kind: 'local', path: word }
}

/** Where paths are looked up: from `/` out here, or in a layer, of which symbolic links lead nowhere outside. */
export class Tree implements Disposable {
  readonly #fd: number
  readonly #resolve: number
  /** What stands before a path of it in messages. */
  readonly #prefix: string

  private constructor(root: string, resolve: number, prefix: string) {
    this.#fd = openat(AT_FDCWD, root, O.PATH | O.DIRECTORY)
    this.#resolve = resolve
    this.#prefix = prefix
  }

  static ofLayer(root: string, word: string): Tree {
    return new Tree(root, RESOLVE.IN_ROOT, `${word}:`)
  }

  static local(): Tree {
    return new Tree('/', 0, '')
  }

  /** @returns `undefined` for what is not there */
  look(file: string, { follow }: { readonly follow: boolean }): Found | undefined {
    const flags = O.PATH | (follow ? 0 : O.NOFOLLOW)
    try {
      return new Found(openat2(this.#fd, file, { flags, resolve: this.#resolve }))
    } catch (error) {
      if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return undefined
      throw error
    }
  }

  /** @throws GD_PATH_UNUSABLE */
  directory(file: string): Found {
    const found = this.look(file, { follow: true })
    if (found === undefined) throw this.unusable(file, 'absent')
    if (found.isDirectory) return found
    found[Symbol.dispose]()
    throw this.unusable(file, 'not-a-directory')
  }

  unusable(file: string, reason: keyof typeof words): GraphDriverError<'GD_PATH_UNUSABLE'> {
    const where = `${this.#prefix}${file}`
    return new GraphDriverError('GD_PATH_UNUSABLE', `${where} ${words[reason]}`, { path: where, reason })
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd)
  }
}

const words = {
  absent: 'is not there; see that the path is right',
  'not-a-directory': 'is no directory; name one, or another path',
  'is-a-directory': 'is a directory, and a file would take its place; name a file in it',
} as const

/** Something that is there, held open: it is the same whoever renames it meanwhile. */
export class Found implements Disposable {
  readonly #fd: number

  constructor(fd: number) {
    this.#fd = fd
  }

  get path(): string {
    return `/proc/self/fd/${this.#fd}`
  }

  get isDirectory(): boolean {
    return (statx(this.#fd, '', AT_EMPTY_PATH).mode & S.IFMT) === S.IFDIR
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd)
  }
}

/** A path as the directory it is in and its name there; without a name for a directory's content: `dir/.`, `/`. */
export function parted(file: string): { readonly directory: string; readonly name: string | undefined } {
  const name = path.posix.basename(file)
  return name === '' || name === '.' || name === '..'
    ? { directory: file, name: undefined }
    : { directory: path.posix.dirname(file), name }
}
