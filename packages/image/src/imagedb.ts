/**
 * # What is on disk
 *
 * Docker's imagedb, file for file, under `<root>/image/<driver>/`:
 *
 * ```
 * imagedb/
 *   content/sha256/<image>             the image config, byte for byte; the name is its digest
 *   metadata/sha256/<image>/parent     id of the image it was built from, where that is known
 *   metadata/sha256/<image>/lastUpdated
 * repositories.json                    names, see repositories.ts
 * ```
 *
 * A config appears by the rename of a complete, synced file. Nothing but its digest vouches for it, so it is
 * verified whenever it is read.
 */
import { readFile, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { type CallOptions, type Digest, digestHex, parseDigest } from '@graphdriver/core'
import { isSystemError, namesIn, syncDirectory, unfinishedFiles, writeAtomically } from '@graphdriver/sys'
import { makeDirectory } from './durable-directory.ts'
import { checkDigest } from './digest-check.ts'
import { maxConfigBytes } from './image-config.ts'
import { invalidImage } from './invalid-image.ts'

export class Imagedb {
  readonly #content: string
  readonly #metadata: string

  readonly #isFlushed: boolean

  /** @param isFlushed whether what is changed is to be on the disk */
  constructor(root: string, driver: string, isFlushed: boolean) {
    this.#isFlushed = isFlushed
    const directory = path.join(imageDirectory(root, driver), 'imagedb')
    this.#content = path.join(directory, 'content', 'sha256')
    this.#metadata = path.join(directory, 'metadata', 'sha256')
  }

  fileOf(id: Digest): string {
    return path.join(this.#content, digestHex(id))
  }

  /** All that have the name of an image; whether they are one, `read` tells. */
  async ids(options: CallOptions = {}): Promise<readonly Digest[]> {
    options.signal?.throwIfAborted()
    const names = await namesIn(this.#content)
    return names
      .filter((name) => /^[0-9a-f]{64}$/.test(name))
      .map((name) => parseDigest(`sha256:${name}`))
      .toSorted()
  }

  /** Files that were being written when a process was killed, those of names too. */
  async unfinished(): Promise<readonly string[]> {
    const found = [path.dirname(path.dirname(path.dirname(this.#content))), this.#content].map(
      unfinishedFiles,
    )
    return (await Promise.all(found)).flat()
  }

  /** @throws GD_DIGEST_MISMATCH, GD_IMAGE_INVALID, and ENOENT */
  async read(id: Digest): Promise<Uint8Array> {
    const file = this.fileOf(id)
    const stats = await stat(file)
    if (!stats.isFile()) throw invalidImage(file, 'is not a file')
    if (stats.size > maxConfigBytes) throw invalidImage(file, `exceeds ${maxConfigBytes} bytes`)
    const bytes = await readFile(file)
    checkDigest(bytes, id, file)
    return bytes
  }

  async write(id: Digest, bytes: Uint8Array): Promise<void> {
    await makeDirectory(this.#content, this.#isFlushed)
    await writeAtomically(this.fileOf(id), bytes, this.#isFlushed)
  }

  /** Deletes an image's files. What was built from it stays, and forgets where it came from. */
  async delete(id: Digest): Promise<void> {
    await rm(this.fileOf(id), { force: true })
    if (this.#isFlushed) await syncDirectory(this.#content)
    await rm(path.join(this.#metadata, digestHex(id)), { recursive: true, force: true })
    for (const child of await namesIn(this.#metadata)) {
      const file = path.join(this.#metadata, child, 'parent')
      if ((await textOf(file)) === id) await rm(file, { force: true })
    }
  }
}

export function imageDirectory(root: string, driver: string): string {
  return path.join(path.resolve(root), 'image', driver)
}

async function textOf(file: string): Promise<string | undefined> {
  try {
    return (await readFile(file, 'utf8')).trim()
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  }
}
