import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { type Digest, GraphDriverError } from '@graphdriver/core'
import { isSystemError, writeAtomically } from '@graphdriver/sys'
import { makeDirectory } from './durable-directory.ts'
import { imageDirectory } from './imagedb.ts'
import { Mutex } from './mutex.ts'
import { parseReference, type Reference } from './reference.ts'
import {
  formatRepositories,
  namesIn,
  parseRepositories,
  type Repositories,
  withName,
  withoutName,
} from './repositories.ts'

export interface ReferenceStoreOptions {
  /** The data root; the names are in `<root>/image/<driver>/repositories.json`. */
  readonly root: string
  readonly driver: string
  /** Whether nothing is to wait for the disk, so that a power cut may take what was done last. */
  readonly volatile?: boolean | undefined
}

/**
 * The names of images. Each name has one image, an image any number of names. All names may be short or whole.
 *
 * What other processes wrote before a change is kept; processes that change names at the same time have to take turns.
 */
export interface ReferenceStore {
  /** Gives a name to an image, taking it from any other. @throws GD_INVALID_REFERENCE */
  tag(name: string, id: Digest): Promise<void>
  /** @returns whose name it was @throws GD_INVALID_REFERENCE, GD_IMAGE_NOT_FOUND */
  untag(name: string): Promise<Digest>
  /** @throws GD_INVALID_REFERENCE */
  resolve(name: string): Digest | undefined
  /** Sorted. */
  namesOf(id: Digest): readonly string[]
  /** Sorted by name. */
  list(): readonly { readonly name: string; readonly id: Digest }[]
}

/** Opens Docker's `repositories.json`. Writes nothing until there is a name to write. @throws GD_STORE_CORRUPT */
export async function openReferenceStore(options: ReferenceStoreOptions): Promise<ReferenceStore> {
  const file = path.join(imageDirectory(options.root, options.driver), 'repositories.json')
  return new FileReferenceStore(file, await readRepositories(file), options.volatile !== true)
}

class FileReferenceStore implements ReferenceStore {
  readonly #file: string
  readonly #writing: Mutex = new Mutex()
  #repositories: Repositories

  readonly #isFlushed: boolean

  constructor(file: string, repositories: Repositories, isFlushed: boolean) {
    this.#isFlushed = isFlushed
    this.#file = file
    this.#repositories = repositories
  }

  tag(name: string, id: Digest): Promise<void> {
    return this.#writing.run(async () => {
      const { familiarName, familiar } = storable(name)
      await this.#refresh()
      if (this.resolve(familiar) === id) return
      await this.#write(withName(this.#repositories, familiarName, familiar, id))
    })
  }

  untag(name: string): Promise<Digest> {
    return this.#writing.run(async () => {
      const { familiarName, familiar } = parseReference(name)
      await this.#refresh()
      const id = this.resolve(familiar)
      if (id === undefined) {
        const message = `no image is named '${familiar}'; list the names that are`
        throw new GraphDriverError('GD_IMAGE_NOT_FOUND', message, { reference: familiar })
      }
      await this.#write(withoutName(this.#repositories, familiarName, familiar))
      return id
    })
  }

  resolve(name: string): Digest | undefined {
    const { familiarName, familiar } = parseReference(name)
    return this.#repositories.get(familiarName)?.get(familiar)
  }

  namesOf(id: Digest): readonly string[] {
    return this.list().flatMap((entry) => (entry.id === id ? [entry.name] : []))
  }

  list(): readonly { readonly name: string; readonly id: Digest }[] {
    return namesIn(this.#repositories)
  }

  /** Another process may have written since; its names are not to be lost. */
  async #refresh(): Promise<void> {
    this.#repositories = await readRepositories(this.#file)
  }

  async #write(repositories: Repositories): Promise<void> {
    await makeDirectory(path.dirname(this.#file), this.#isFlushed)
    await writeAtomically(this.#file, formatRepositories(repositories), this.#isFlushed)
    this.#repositories = repositories
  }
}

async function readRepositories(file: string): Promise<Repositories> {
  try {
    return parseRepositories(await readFile(file), file)
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return new Map()
    throw error
  }
}

/** @throws GD_INVALID_REFERENCE also for `sha256`, whose tags would look like digests */
function storable(name: string): Reference {
  const reference = parseReference(name)
  if (reference.familiarName !== 'sha256') return reference
  const message = `'${name}' is not an image name: 'sha256' is what digests begin with`
  throw new GraphDriverError('GD_INVALID_REFERENCE', message, { reference: name })
}
