/** How many calls are remembered that were cancelled before they came. */
const mostOvertaken = 1024

/** The calls that a server is at, so that they can be cancelled, and waited for. */
export class RunningCalls {
  readonly #running = new Map<
    string,
    { readonly controller: AbortController; readonly ended: Promise<void> }
  >()
  /** A call and its cancelling come over two connections, in any order. */
  readonly #overtaken = new Set<string>()
  #anonymous = 0

  /** @param name by which it is cancelled; others cannot be */
  async run<T>(
    name: string | undefined,
    controller: AbortController,
    action: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const key = name ?? `anonymous ${this.#anonymous++}`
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#running.set(key, { controller, ended: promise })
    if (this.#overtaken.delete(key)) controller.abort()
    try {
      return await action(controller.signal)
    } finally {
      this.#running.delete(key)
      resolve()
    }
  }

  /** Cancels a call and waits until it has ended. One that has ended is no error. */
  async cancel(name: string): Promise<void> {
    const call = this.#running.get(name)
    if (call === undefined) {
      this.#remember(name)
      return
    }
    call.controller.abort()
    await call.ended
  }

  #remember(name: string): void {
    this.#overtaken.add(name)
    const [oldest] = this.#overtaken
    if (this.#overtaken.size > mostOvertaken && oldest !== undefined) this.#overtaken.delete(oldest)
  }

  /** Waits for all that there are now. */
  async settled(): Promise<void> {
    await Promise.all(Array.from(this.#running.values(), ({ ended }) => ended))
  }

  cancelAll(): void {
    for (const { controller } of this.#running.values()) controller.abort()
  }
}
