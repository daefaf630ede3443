/** Layers that nobody has any more, deleted one after another in the background, so that who removes does not wait. */
import { setTimeout } from 'node:timers/promises'
import type { LayerId } from '@graphdriver/core'
import type { SnapshotDriver } from './snapshot-driver.ts'

/** Milliseconds that a deletion under way has when the snapshotter ends. */
const patience = 5000

export class Deletions implements AsyncDisposable {
  readonly #driver: SnapshotDriver
  readonly #onFailure: ((what: string, error: unknown) => void) | undefined
  readonly #waiting = new Set<LayerId>()
  readonly #failed = new Set<LayerId>()
  readonly #controller = new AbortController()
  #running: Promise<void> | undefined

  constructor(driver: SnapshotDriver, onFailure?: (what: string, error: unknown) => void) {
    this.#driver = driver
    this.#onFailure = onFailure
  }

  add(layer: LayerId): void {
    this.#waiting.add(layer)
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
    })
  }

  /** Tries once more what failed, and waits for all. */
  async settled(): Promise<void> {
    for (const layer of this.#failed) this.add(layer)
    this.#failed.clear()
    while (this.#running !== undefined) await this.#running
  }

  /** What is left is deleted by the next process. A disk that stalls is not waited for. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#waiting.clear()
    this.#controller.abort()
    await Promise.race([this.#running, setTimeout(patience, undefined, { ref: false })])
  }

  async #run(): Promise<void> {
    for (const layer of this.#waiting) {
      this.#waiting.delete(layer)
      try {
        await this.#driver.remove(layer, { signal: this.#controller.signal })
      } catch (error) {
        if (this.#controller.signal.aborted) return
        this.#failed.add(layer)
        this.#onFailure?.(`deleting layer ${layer}`, error)
      }
    }
  }
}
