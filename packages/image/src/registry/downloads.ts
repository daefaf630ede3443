/**
 * What came of the blobs of a pull, kept until the image is whole: whoever is interrupted, killed or cut off goes on from there.
 *
 * ```
 * <directory>/<hex>    the first bytes of the blob sha256:<hex>, or all of it; locked (flock(2)) while somebody adds to it
 * ```
 */
import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, rm, stat, unlink } from 'node:fs/promises'
import path from 'node:path'
import { type Digest, digestHex, isGraphDriverError } from '@graphdriver/core'
import { flock, isSystemError, namesIn } from '@graphdriver/sys'

/** Bytes of a blob that it is worth keeping. */
const least = 1024 * 1024
/** Bytes read at a time of what is kept. */
const pieceBytes = 1024 * 1024

/** A blob of which something is kept that nobody adds to now. */
export interface KeptDownload {
  readonly name: string
  /** Bytes. */
  readonly bytes: number
}

export class Downloads {
  readonly #directory: string
  /** Blobs of which this process kept or used something. */
  readonly #used = new Set<Digest>()
  #resumed = 0

  /** @param directory is made when there is something to keep; on the disk that has the store */
  constructor(directory: string) {
    this.#directory = directory
  }

  /** Bytes that were there from earlier pulls, and had not to come again. */
  get resumedBytes(): number {
    return this.#resumed
  }

  /**
   * A blob: what is kept of it, then the rest, which is kept as it comes. Where nothing can be kept, for want of space or because
   * another process is at it, all of it comes and nothing is kept.
   *
   * @param size its bytes
   * @param from opens it at an offset
   */
  async *read(
    digest: Digest,
    size: number,
    from: (at: number) => AsyncIterable<Uint8Array>,
  ): AsyncGenerator<Uint8Array, void, void> {
    const kept = size < least ? undefined : await this.#hold(digest)
    if (kept === undefined) {
      yield* from(0)
      return
    }
    await using file = kept
    const there = Math.min((await file.stat()).size, size)
    this.#resumed += there
    yield* piecesOf(file, there)
    if (there === size) return
    let at = there
    let keeping = true
    for await (const chunk of from(there)) {
      // Before it is given away: who asked for it may never come back.
      if (keeping) keeping = await appended(file, chunk, at)
      at += chunk.length
      yield chunk
    }
  }

  /**
   * Deletes what was kept of the blobs that were read.
   *
   * - after success, because nothing is left to be done
   * - after damage, since it may be what was kept that is damaged
   */
  async forget(): Promise<void> {
    for (const digest of this.#used) await rm(this.#fileOf(digest), { force: true })
    this.#used.clear()
  }

  #fileOf(digest: Digest): string {
    return path.join(this.#directory, digestHex(digest))
  }

  async #hold(digest: Digest): Promise<FileHandle | undefined> {
    try {
      await mkdir(this.#directory, { recursive: true, mode: 0o700 })
      const file = await openLocked(this.#fileOf(digest), constants.O_CREAT)
      if (file !== undefined) this.#used.add(digest)
      return file
    } catch (error) {
      // Keeping is a kindness; the pull does not fail for it.
      if (isSystemError(error, 'ENOSPC', 'EDQUOT', 'EROFS', 'EACCES')) return undefined
      throw error
    }
  }
}

/** Whether a failure may come of what was kept, and not of what is in the registry: then it is worth another try without. */
export function mayBeDamage(error: unknown): boolean {
  return isGraphDriverError(
    error,
    'GD_DIGEST_MISMATCH',
    'GD_COMPRESSION_INVALID',
    'GD_ARCHIVE_INVALID',
    'GD_ARCHIVE_BREAKOUT',
    'GD_ARCHIVE_UNSUPPORTED',
  )
}

/** What interrupted pulls have left, and nobody uses now. */
export async function keptDownloads(directory: string): Promise<readonly KeptDownload[]> {
  const found: KeptDownload[] = []
  for (const name of await namesIn(directory)) {
    await using file = await openLocked(path.join(directory, name))
    if (file !== undefined) found.push({ name, bytes: (await file.stat()).size })
  }
  return found
}

/** Deletes those. */
export async function dropDownloads(directory: string): Promise<void> {
  for (const name of await namesIn(directory)) {
    await using file = await openLocked(path.join(directory, name))
    if (file !== undefined) await unlink(path.join(directory, name))
  }
}

/** @returns undefined when it is not there, or another has it */
async function openLocked(name: string, flags = 0): Promise<FileHandle | undefined> {
  let file: FileHandle
  try {
    file = await open(name, constants.O_RDWR | constants.O_APPEND | constants.O_NOFOLLOW | flags, 0o600)
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined
    throw error
  }
  try {
    // One that was deleted while this waited for nobody would be kept in vain.
    if (flock(file.fd, 'exclusive', { nonblocking: true }) && (await isAt(name, file))) return file
  } catch (error) {
    await file.close()
    throw error
  }
  await file.close()
  return undefined
}

async function isAt(name: string, file: FileHandle): Promise<boolean> {
  try {
    const [there, held] = [await stat(name), await file.stat()]
    return there.ino === held.ino && there.dev === held.dev
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return false
    throw error
  }
}

async function* piecesOf(file: FileHandle, length: number): AsyncGenerator<Uint8Array, void, void> {
  for (let at = 0; at < length;) {
    const piece = Buffer.allocUnsafe(Math.min(pieceBytes, length - at))
    const { bytesRead } = await file.read(piece, 0, piece.length, at)
    if (bytesRead === 0) throw new Error('a kept download was shortened by somebody else')
    at += bytesRead
    yield piece.subarray(0, bytesRead)
  }
}

/** @returns false when the disk is full; what does not belong there is taken off again */
async function appended(file: FileHandle, chunk: Uint8Array, at: number): Promise<boolean> {
  try {
    await file.appendFile(chunk)
    return true
  } catch (error) {
    if (!isSystemError(error, 'ENOSPC', 'EDQUOT', 'EIO')) throw error
    await file.truncate(at)
    return false
  }
}
