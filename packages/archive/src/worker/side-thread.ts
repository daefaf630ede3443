import type { MakeFilesResult } from '../apply/make-files.ts'
import type { ThreadPool } from './pool.ts'
import { createRing, RingReader, RingWriter, type SharedRing } from './ring.ts'
import type { WorkerThread } from './worker-thread.ts'

/** Enough for what is handed over ahead, and the largest record. A power of two. */
const capacity = 256 * 1024

/** A second thread for a tar that turns out to have many small files. */
export class SideThread {
  readonly ring: SharedRing = createRing(capacity)
  readonly #pool: ThreadPool
  readonly #root: string
  readonly #asked = new RingReader(this.ring)
  #made: Promise<MakeFilesResult> | undefined

  constructor(pool: ThreadPool, root: string) {
    this.#pool = pool
    this.#root = root
  }

  /** @param onFailure the first thread is then to be stopped */
  startIfWanted(onFailure: (reason: unknown) => void): void {
    if (this.#made !== undefined || !this.#asked.wanted) return
    this.#made = this.#run()
    this.#made.catch(onFailure)
  }

  /**
   * Waits for its end, which the first thread has told it to come to.
   *
   * @throws what it failed with
   */
  async finished(): Promise<MakeFilesResult | undefined> {
    return await this.#made
  }

  /** What it failed with, if it did. A thread that was stopped has not failed. */
  async failure(): Promise<unknown> {
    return await this.#made?.then(
      () => undefined,
      (error: unknown) => error,
    )
  }

  /** For a first thread that cannot tell it any more. */
  abandon(): void {
    new RingWriter(this.ring).abort()
  }

  async #run(): Promise<MakeFilesResult> {
    let thread: WorkerThread | undefined
    try {
      thread = await this.#pool.acquireForStream()
      const input = { ring: this.ring, root: this.#root }
      return await thread.run<MakeFilesResult>({ kind: 'makeFiles', input })
    } finally {
      // Also where it died without a word, or never began.
      this.#asked.leave()
      if (thread !== undefined) this.#pool.release(thread)
    }
  }
}
