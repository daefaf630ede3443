/** What is kept of a snapshot: a small file each, named after the hash of its key, so that a change writes one file. */
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import path from 'node:path'
import { GraphDriverError, type LayerId, parseLayerId } from '@graphdriver/core'
import {
  isSystemError,
  syncDirectory,
  tryLockDirectory,
  unfinishedFiles,
  writeAtomically,
} from '@graphdriver/sys'

export type SnapshotKind = 'view' | 'active' | 'committed'

export interface SnapshotRecord {
  /** A snapshot's name, as containerd gives it: unique among all namespaces. */
  readonly key: string
  readonly kind: SnapshotKind
  readonly parent: string | undefined
  /** What the driver calls its layer; of a view, that of its parent, unless it has none. */
  readonly layer: LayerId
  readonly labels: Readonly<Record<string, string>>
  /** Milliseconds since 1970. */
  readonly created: number
  readonly updated: number
  /** Of a committed one: bytes, and files, beside what its parent has. */
  readonly usage?: SnapshotUsage | undefined
}

export interface SnapshotUsage {
  readonly size: number
  readonly inodes: number
}

/** Open files at a time. */
const batch = 64
const suffix = '.json'

/** The records of one root, which one process has until it disposes them. */
export class RecordFiles implements Disposable {
  readonly #directory: string
  readonly #lock: Disposable

  private constructor(directory: string, lock: Disposable) {
    this.#directory = directory
    this.#lock = lock
  }

  /** Makes the directory if need be. @throws GD_IN_USE while another process has it */
  static async open(directory: string): Promise<RecordFiles> {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const files = new RecordFiles(directory, lockRoot(directory))
    for (const unfinished of await unfinishedFiles(directory)) await rm(unfinished)
    return files
  }

  /** @throws GD_STORE_CORRUPT for a file that is no record */
  async read(): Promise<readonly SnapshotRecord[]> {
    const names = (await readdir(this.#directory)).filter((name) => name.endsWith(suffix))
    const records: SnapshotRecord[] = []
    for (let start = 0; start < names.length; start += batch) {
      const files = names.slice(start, start + batch).map((name) => path.join(this.#directory, name))
      records.push(...(await Promise.all(files.map(readRecord))))
    }
    return records
  }

  /** On the disk when this returns. */
  write(record: SnapshotRecord): Promise<void> {
    return writeAtomically(this.#fileOf(record.key), JSON.stringify(record))
  }

  /** Gone for good when this returns. */
  async remove(key: string): Promise<void> {
    await rm(this.#fileOf(key), { force: true })
    await syncDirectory(this.#directory)
  }

  [Symbol.dispose](): void {
    this.#lock[Symbol.dispose]()
  }

  #fileOf(key: string): string {
    return path.join(this.#directory, `${createHash('sha256').update(key).digest('hex')}${suffix}`)
  }
}

async function readRecord(file: string): Promise<SnapshotRecord> {
  const text = await readFile(file, 'utf8')
  try {
    const record = JSON.parse(text) as SnapshotRecord
    return { ...record, layer: parseLayerId(record.layer) }
  } catch (error) {
    if (isSystemError(error)) throw error
    const message = `${file} is no record of a snapshot; remove it, and its snapshot is forgotten`
    throw new GraphDriverError('GD_STORE_CORRUPT', message, { path: file }, { cause: error })
  }
}

/** Two processes would each take the other's layers for left ones. */
function lockRoot(directory: string): Disposable {
  const lock = tryLockDirectory(directory, 'exclusive')
  if (lock !== undefined) return lock
  const user = 'another snapshotter'
  const message = `${directory} is in use by ${user}; end that, or choose another root`
  throw new GraphDriverError('GD_IN_USE', message, { object: directory, user })
}
