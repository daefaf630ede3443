/**
 * The log of a disk's writes: `write`, offset, length and data of each; `flush` where what was written before has to stay.
 *
 * ```
 * kind (4 bytes: 1 write, 2 flush)   length (4 bytes)   offset (8 bytes)   data
 * ```
 */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'

const head = 16
const kinds = { write: 1, flush: 2 } as const

export class WriteLog implements Disposable {
  readonly #fd: number

  constructor(file: string) {
    this.#fd = openSync(file, 'a')
  }

  write(offset: number, data: Buffer): void {
    const bytes = Buffer.alloc(head)
    bytes.writeUInt32LE(kinds.write, 0)
    bytes.writeUInt32LE(data.length, 4)
    bytes.writeBigUInt64LE(BigInt(offset), 8)
    writeSync(this.#fd, Buffer.concat([bytes, data]))
  }

  flush(): void {
    const bytes = Buffer.alloc(head)
    bytes.writeUInt32LE(kinds.flush, 0)
    writeSync(this.#fd, bytes)
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd)
  }
}

export interface LoggedWrite {
  readonly offset: number
  readonly data: Buffer
}

/** What happens between two flushes: in any order, and any part of it not at all when the power fails. */
export interface Epoch {
  readonly writes: readonly LoggedWrite[]
  /** Where in the log it ends. */
  readonly end: number
}

/** All of them; the last is what no flush came after. */
export function readEpochs(file: string): readonly Epoch[] {
  const log = readFileSync(file)
  const epochs: Epoch[] = []
  let writes: LoggedWrite[] = []
  for (let at = 0; at < log.length;) {
    const [kind, length] = [log.readUInt32LE(at), log.readUInt32LE(at + 4)]
    const data = log.subarray(at + head, at + head + length)
    if (kind === kinds.write) writes.push({ offset: Number(log.readBigUInt64LE(at + 8)), data })
    at += head + length
    if (kind === kinds.flush) {
      epochs.push({ writes, end: at })
      writes = []
    }
  }
  return [...epochs, { writes, end: log.length }]
}
