/** The calls that a server is at, so that they can be cancelled, and waited for. */
export class RunningCalls {
  readonly #running = new Map<
    string,
    { readonly controller: AbortController; readonly ended: Promise<void> }
  >()
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
    call?.controller.abort()
    await call?.ended
  }

  /** Waits for all that there are now. */
  async settled(): Promise<void> {
    await Promise.all(Array.from(this.#running.values(), ({ ended }) => ended))
  }

  cancelAll(): void {
    for (const { controller } of this.#running.values()) controller.abort()
  }
}
