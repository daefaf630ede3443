/**
 * Resources that are closed together, the last one first, unless they are handed on: what AsyncDisposableStack is,
 * which Node 22 does not have.
 */
export class Resources implements AsyncDisposable {
  #open: AsyncDisposable[] = []

  use<T extends AsyncDisposable>(resource: T): T {
    this.#open.push(resource)
    return resource
  }

  /** Hands everything on to another owner; disposing this one closes nothing any more. */
  move(): Resources {
    const other = new Resources()
    other.#open = this.#open
    this.#open = []
    return other
  }

  /** Closes all, though some may fail; the first failure is reported. */
  async [Symbol.asyncDispose](): Promise<void> {
    const failures: unknown[] = []
    for (let last = this.#open.pop(); last !== undefined; last = this.#open.pop()) {
      try {
        await last[Symbol.asyncDispose]()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  }
}
