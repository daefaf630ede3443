/**
 * Small files that a second thread makes. A layer of them takes the time that the kernel takes for one after another, and
 * for two directories, or even two names in one, it needs no order.
 *
 * Handed over is only what nothing depends on: files in directories that this tar has made, under names that are not taken
 * by a directory. Whoever is about to do anything else with such a name waits for it (`settle`), and whoever closes a
 * directory for all that is being made in it.
 */
import type { TarHeader } from '../tar/header.ts'
import { RingWriter, type SharedRing } from '../worker/ring.ts'
import type { Directory } from './directory.ts'
import type { EntryPath } from './entry-path.ts'
import { fitsRecord, mostRecord, writeHead } from './side-record.ts'

/** So many files that could be made by it make a second thread worth its start. */
const worthwhile = 1000
/** Bytes that are handed over ahead: with more, the first thread would wait at the end instead of working. */
const mostAhead = 64 * 1024

interface Handed {
  readonly directory: Directory
  readonly name: string
  /** Bytes handed over up to its end. */
  readonly end: number
}

export class SideFiles implements Disposable {
  readonly #ring: RingWriter
  readonly #record = Buffer.allocUnsafe(mostRecord)
  /** Bytes of the record that is being put together. */
  #length = 0
  #handedBytes = 0
  #suitable = 0
  /** What may be unfinished, in order. */
  #queue: Handed[] = []
  readonly #unfinished = new Map<Directory, Set<string>>()
  #ended = false

  constructor(ring: SharedRing) {
    this.#ring = new RingWriter(ring)
  }

  /**
   * Begins to hand a file over, whose content then comes by `add`, and `finish` after it.
   *
   * @param fd of the parent
   * @returns false when it is to be made by whoever asks
   */
  begin(header: TarHeader, path: EntryPath, parent: Directory, name: string, fd: () => number): boolean {
    if (!parent.fresh || !fitsRecord(header, path)) return false
    if (++this.#suitable === worthwhile) this.#ring.want()
    if (!this.#ring.joined || this.#ring.waiting > mostAhead) return false
    this.#forgetFinished()
    if (parent.child(name) !== undefined || this.#isUnfinished(parent, name)) return false
    const place = { fd: fd(), group: parent.group, name: path.length - name.length }
    this.#length = writeHead(this.#record, header, path, place)
    this.#note(parent, name, this.#handedBytes + this.#length + header.size)
    return true
  }

  add(chunk: Uint8Array): void {
    this.#record.set(chunk, this.#length)
    this.#length += chunk.length
  }

  /** @throws RingAborted when the other thread has failed */
  finish(): void {
    this.#ring.writeSync(this.#record.subarray(0, this.#length))
    this.#handedBytes += this.#length
  }

  /** Waits until nothing of that name is being made. */
  settleName(parent: Directory, name: string): void {
    if (this.#isUnfinished(parent, name)) this.settle()
  }

  /** Waits until nothing is being made in the directory, whose descriptor is about to be closed. */
  settleIn(directory: Directory): void {
    if (this.#unfinished.has(directory)) this.settle()
  }

  /** Waits until all is made. @throws RingAborted when the other thread has failed */
  settle(): void {
    if (this.#queue.length === 0) return
    this.#ring.drainedSync()
    this.#forgetAll()
  }

  /** No more will come. */
  end(): void {
    this.settle()
    this.#ended = true
    this.#ring.end()
  }

  /** Stops what is not made yet. When this returns no descriptor of ours is used any more. */
  [Symbol.dispose](): void {
    if (this.#ended) return
    this.#ended = true
    this.#ring.abort()
    if (this.#handedBytes > 0) this.#ring.leftSync()
    this.#forgetAll()
  }

  #note(directory: Directory, name: string, end: number): void {
    this.#queue.push({ directory, name, end })
    const names = this.#unfinished.get(directory)
    if (names === undefined) this.#unfinished.set(directory, new Set([name]))
    else names.add(name)
  }

  #isUnfinished(parent: Directory, name: string): boolean {
    return this.#unfinished.get(parent)?.has(name) === true
  }

  #forgetAll(): void {
    this.#queue = []
    this.#unfinished.clear()
  }

  #forgetFinished(): void {
    const made = this.#handedBytes - this.#ring.waiting
    let count = 0
    for (const { directory, name, end } of this.#queue) {
      if (end > made) break
      count++
      const names = this.#unfinished.get(directory)
      names?.delete(name)
      if (names?.size === 0) this.#unfinished.delete(directory)
    }
    if (count > 0) this.#queue.splice(0, count)
  }
}
