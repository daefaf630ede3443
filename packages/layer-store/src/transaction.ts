import { randomBytes } from 'node:crypto'
import { chmod, lstat, mkdir, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import type { LayerId } from '@graphdriver/core'
import { AT_FDCWD, isSystemError, RENAME, renameat2 } from '@graphdriver/sys'
import { transactionPrefix } from './layerdb.ts'
import { readRecordFile, writeRecordFile } from './record-file.ts'
import { settle, type StoreContext } from './store-context.ts'

/** The record files that name driver layers. */
export const idFiles = ['cache-id', 'mount-id', 'init-id'] as const

/**
 * A record on its way: a directory under `tmp` that gets its final name when it is complete.
 *
 * It is born with the ids of the driver layers that will be made for it, so that after a crash it tells which they
 * were. Until it is disposed, these are no orphans.
 */
export class Transaction implements AsyncDisposable {
  readonly directory: string
  readonly #context: StoreContext
  readonly #layers: readonly LayerId[]
  /** The record is where it belongs, and its layers are in use. */
  #isPlaced = false

  private constructor(context: StoreContext, directory: string, layers: readonly LayerId[]) {
    this.#context = context
    this.directory = directory
    this.#layers = layers
    for (const layer of layers) context.pending.add(layer)
  }

  /** @param layers the driver layers to come, in the order in which they can be removed again */
  static async begin(
    context: StoreContext,
    layers: readonly LayerId[],
    ids: Readonly<Record<string, string>>,
  ): Promise<Transaction> {
    const transaction = new Transaction(context, await temporaryDirectory(context), layers)
    try {
      await transaction.write(ids)
      return transaction
    } catch (error) {
      await transaction.abandon()
      await transaction[Symbol.asyncDispose]()
      throw error
    }
  }

  /** @param byCaller the caller flushes the whole filesystem before it commits */
  async write(files: Readonly<Record<string, string>>, byCaller = false): Promise<void> {
    const isFlushed = !byCaller && this.#context.durability !== 'volatile'
    for (const [name, content] of Object.entries(files))
      await writeRecordFile(this.directory, name, content, isFlushed)
  }

  /**
   * Gives the record its name, durably.
   *
   * @returns false when something else has that name; the transaction is still open then
   */
  async commit(target: string, mode: number): Promise<boolean> {
    const shelf = path.dirname(target)
    await mkdir(shelf, { recursive: true, mode: 0o755 })
    await chmod(this.directory, mode)
    await settle(this.#context, this.directory)
    try {
      await rename(this.directory, target)
    } catch (error) {
      if (isSystemError(error, 'ENOTEMPTY', 'EEXIST')) return false
      // A file has the name; but ENOTDIR may also speak of the shelf itself.
      if (isSystemError(error, 'ENOTDIR') && (await isThere(target))) return false
      throw error
    }
    try {
      await settle(this.#context, shelf)
      return true
    } catch (error) {
      // What is not known to be durable is not done: the caller will undo the rest and say so.
      await rename(target, this.directory)
      throw error
    }
  }

  /**
   * Takes the place of a record that is there, durably; that one's driver layers are the caller's. After a crash in between
   * there is the one or the other.
   */
  async exchange(target: string, mode: number): Promise<void> {
    await chmod(this.directory, mode)
    await settle(this.#context, this.directory)
    try {
      renameat2(AT_FDCWD, this.directory, AT_FDCWD, target, RENAME.EXCHANGE)
    } catch (error) {
      // Gone, or on a filesystem that cannot: then there is none for a moment, which is no worse than a removal.
      if (!isSystemError(error, 'ENOENT', 'EINVAL', 'ENOSYS')) throw error
      await rm(target, { recursive: true, force: true })
      await rename(this.directory, target)
    }
    this.#isPlaced = true
    await settle(this.#context, path.dirname(target))
    await rm(this.directory, { recursive: true, force: true })
  }

  /**
   * Removes the driver layers and then the directory that names them. A failure is not reported, because there is
   * one already that led here, and because nothing is lost by it: the directory stays, and `collect` tries again.
   */
  async abandon(): Promise<void> {
    if (this.#isPlaced) return
    try {
      for (const layer of this.#layers) await this.#context.driver.remove(layer)
      await rm(this.directory, { recursive: true, force: true })
    } catch {
      return
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const pending of [this.directory, ...this.#layers]) this.#context.pending.delete(pending)
  }
}

/** Makes a directory that no `collect` of this store takes for a leftover until it is off the `pending` list. */
async function temporaryDirectory({ layerdb, pending }: StoreContext): Promise<string> {
  await mkdir(layerdb.temporary, { recursive: true, mode: 0o755 })
  const directory = path.join(layerdb.temporary, `${transactionPrefix}${randomBytes(8).toString('hex')}`)
  pending.add(directory)
  try {
    await mkdir(directory, { mode: 0o700 })
    return directory
  } catch (error) {
    pending.delete(directory)
    throw error
  }
}

/**
 * Takes what is not a whole record away from a record's name. If it still names a driver layer, that is noted under
 * `tmp`, where `collect` finds it.
 */
export async function setAside(context: StoreContext, target: string): Promise<void> {
  if (!(await isThere(target))) return
  const shelf = await temporaryDirectory(context)
  try {
    const aside = path.join(shelf, 'aside')
    await rename(target, aside)
    let noted = false
    for (const name of idFiles) {
      const id = await readRecordFile(aside, name)
      if (id === undefined || id === '') continue
      await writeRecordFile(shelf, name, id)
      noted = true
    }
    await rm(noted ? aside : shelf, { recursive: true })
  } finally {
    context.pending.delete(shelf)
  }
}

/** A record that has no name any more, and tells only `collect` which driver layers it is of. */
export interface RetiredRecord {
  /** Ends it, when its layers are gone. */
  discard(): Promise<void>
  /** Gives it its name again. */
  restore(): Promise<void>
  /** Has `collect` end it. */
  leave(): void
}

/**
 * Takes a record away, durably and at once: what is removed after that is no record's when the process dies, or the power fails.
 * One that is not there is no error. Until it is discarded its layers are no orphans.
 */
export async function retireRecord(
  context: StoreContext,
  target: string,
  layers: readonly LayerId[],
): Promise<RetiredRecord> {
  const shelf = await temporaryDirectory(context)
  for (const layer of layers) context.pending.add(layer)
  const end = (): void => {
    for (const pending of [shelf, ...layers]) context.pending.delete(pending)
  }
  const restore = async (): Promise<void> => {
    try {
      await rename(shelf, target)
    } finally {
      end()
    }
  }
  try {
    await rename(target, shelf)
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) {
      await rm(shelf, { recursive: true, force: true })
      end()
      throw error
    }
  }
  try {
    await settle(context, path.dirname(target))
  } catch (error) {
    await restore()
    throw error
  }
  return {
    restore,
    leave: end,
    async discard() {
      try {
        await rm(shelf, { recursive: true, force: true })
      } finally {
        end()
      }
    },
  }
}

async function isThere(target: string): Promise<boolean> {
  try {
    await lstat(target)
    return true
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return false
    throw error
  }
}
