/** The other side of `SideFiles`. */
import { isSystemError, O, openat, unlinkat } from '@graphdriver/sys'
import { closeSync } from 'node:fs'
import { RingReader, type SharedRing } from '../worker/ring.ts'
import { nameEntry } from './entry-error.ts'
import { writeAll } from './file-writer.ts'
import { applyToOpen, settleFile } from './metadata.ts'
import { lastLinkBytes } from './removal.ts'
import { NewOwner } from '../tree/new-owner.ts'
import { headBytes, mostRecord, readRecord, recordLength, type SideFile } from './side-record.ts'

export interface MakeFilesRequest {
  readonly ring: SharedRing
  /** What the paths of entries are below, for errors. */
  readonly root: string
}

export interface MakeFilesResult {
  /** Of files that the tar had put there before, under the same names. */
  readonly replacedBytes: number
}

/** Little, so that the other side soon hears of what is done. */
const portion = 16 * 1024
const newFile = O.WRONLY | O.CREAT | O.EXCL | O.NOFOLLOW

/** Makes the files that come by a ring, to its end. @throws what making an entry throws; RingAborted */
export function makeFiles({ ring, root }: MakeFilesRequest, check: () => void): MakeFilesResult {
  const reader = new RingReader(ring)
  const records = new Records()
  const owner = new NewOwner()
  let replacedBytes = 0
  reader.join()
  try {
    reader.drainSync((view) => {
      records.push(view, (record) => {
        check()
        reader.check()
        const file = readRecord(record)
        try {
          replacedBytes += makeFile(file, owner)
        } catch (error) {
          throw nameEntry(error, file.header, root)
        }
      })
    }, portion)
  } finally {
    reader.leave()
  }
  return { replacedBytes }
}

/** Cuts a stream into records; what lies whole in a view is not copied. */
class Records {
  readonly #begun = Buffer.allocUnsafe(mostRecord)
  #length = 0

  push(view: Uint8Array, take: (record: Buffer) => void): void {
    const bytes = Buffer.from(view.buffer, view.byteOffset, view.length)
    let from = 0
    while (this.#length > 0 && from < bytes.length) {
      const wanted = this.#length < headBytes ? headBytes : recordLength(this.#begun, 0)
      const taken = Math.min(wanted - this.#length, bytes.length - from)
      bytes.copy(this.#begun, this.#length, from, from + taken)
      this.#length += taken
      from += taken
      if (this.#length < headBytes || this.#length < recordLength(this.#begun, 0)) continue
      take(this.#begun.subarray(0, this.#length))
      this.#length = 0
    }
    while (bytes.length - from >= headBytes) {
      const end = from + recordLength(bytes, from)
      if (end > bytes.length) break
      take(bytes.subarray(from, end))
      from = end
    }
    this.#length += bytes.copy(this.#begun, this.#length, from)
  }
}

/** @returns bytes of what was there before and is gone */
function makeFile({ directory, directoryGroup, name, header, content }: SideFile, owner: NewOwner): number {
  let replaced = 0
  let fd: number
  try {
    fd = openat(directory, name, newFile, 0o600)
  } catch (error) {
    if (!isSystemError(error, 'EEXIST')) throw error
    replaced = lastLinkBytes(directory, name)
    unlinkat(directory, name)
    fd = openat(directory, name, newFile, 0o600)
  }
  try {
    writeAll(fd, content, undefined)
    applyToOpen(fd, header, () => true, owner.has(fd, header, directoryGroup))
    settleFile(fd, header)
  } finally {
    closeSync(fd)
  }
  return replaced
}
