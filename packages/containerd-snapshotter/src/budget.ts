/** How long a call may take, and how many touch the disk at a time: a disk that stalls must not take its users with it. */
import { SnapshotError } from './error.ts'

export interface Budget {
  /** Milliseconds until a call that touches the disk is answered, with an error if need be. */
  readonly milliseconds: number
  /** How many calls touch the disk at a time; each has a handful of files open. */
  readonly atOnce: number
}

/** A base layer of some gigabytes takes a slow disk tens of seconds to look through when it is committed. */
export const standardBudget: Budget = { milliseconds: 60_000, atOnce: 64 }

export class Gate {
  readonly #budget: Budget
  readonly #waiting: (() => void)[] = []
  #inside = 0

  constructor(budget: Budget) {
    this.#budget = budget
  }

  /**
   * Runs what touches the disk. What has not ended in time goes on, and holds its place until it does.
   *
   * @param what for the error: the call, and its snapshot
   * @throws SnapshotError `deadline`, and what `action` throws
   */
  async run<T>(what: string, action: () => Promise<T>): Promise<T> {
    const { promise, reject } = Promise.withResolvers<never>()
    let isLate = false
    const timer = setTimeout(() => {
      isLate = true
      const { milliseconds } = this.#budget
      reject(new SnapshotError('deadline', `${what} has not ended after ${milliseconds} ms; see to the disk`))
    }, this.#budget.milliseconds)
    const running = this.#enter().then(async () => {
      try {
        // Whoever asked has gone: what was not begun is not done.
        return isLate ? await promise : await action()
      } finally {
        this.#leave()
      }
    })
    running.catch(() => undefined)
    try {
      return await Promise.race([running, promise])
    } finally {
      clearTimeout(timer)
    }
  }

  async #enter(): Promise<void> {
    if (this.#inside >= this.#budget.atOnce) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#waiting.push(resolve)
      await promise
    } else this.#inside++
  }

  /** The place goes to who waits, if anybody does. */
  #leave(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#inside--
    else next()
  }
}
