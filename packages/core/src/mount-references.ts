import { KeyedMutex } from './keyed-mutex.ts'

/**
 * Counts who uses a mounted layer, so that the first `get` mounts and the last `put` unmounts.
 *
 * Calls for one key run one after another; calls for different keys do not wait for each other. A mount that
 * an earlier process left behind (a runtime restarted while containers ran) counts as one user the first time
 * its key is seen: the next `get` joins it, and it takes one `put` more than gets to unmount it.
 */
export class MountReferences {
  readonly #isMounted: (target: string) => boolean
  readonly #counts = new Map<string, number>()
  readonly #turns = new KeyedMutex()

  /** @param isMounted whether `target` is a mount point of the caller's kind now */
  constructor(isMounted: (target: string) => boolean) {
    this.#isMounted = isMounted
  }

  /**
   * Takes one reference on `target` and runs `mount` if it is the first. A failed `mount` takes none.
   *
   * @param mount returns false when another process mounted it at the same moment: that one counts as a user too, so
   *   that the mount is not taken away from it
   */
  acquire(target: string, mount: () => Promise<boolean> | Promise<void> | void): Promise<void> {
    return this.#turns.exclusively(target, async () => {
      const count = this.#known(target) + 1
      const others = count === 1 && (await mount()) === false ? 1 : 0
      this.#counts.set(target, count + others)
    })
  }

  /**
   * Drops one reference and runs `unmount` when none is left. Dropping what nobody holds also runs `unmount`,
   * which must therefore take "not mounted" for success. A failed `unmount` leaves the reference in place.
   */
  release(target: string, unmount: () => Promise<void> | void): Promise<void> {
    return this.#turns.exclusively(target, async () => {
      const count = this.#known(target) - 1
      if (count > 0) {
        this.#counts.set(target, count)
        return
      }
      await unmount()
      this.#counts.delete(target)
    })
  }

  /** Runs `action` while no `acquire` or `release` of the same target does, and forgets its references after. */
  forget(target: string, action: () => Promise<void> | void): Promise<void> {
    return this.#turns.exclusively(target, async () => {
      await action()
      this.#counts.delete(target)
    })
  }

  /** How many references are held on `target` by this process. */
  count(target: string): number {
    return this.#counts.get(target) ?? 0
  }

  #known(target: string): number {
    return this.#counts.get(target) ?? (this.#isMounted(target) ? 1 : 0)
  }
}
