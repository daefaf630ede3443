/** What has to be undone, last done first, if a sequence of steps does not come to its end. */
export class Rollback {
  readonly #steps: (() => Promise<unknown>)[] = []

  add(undo: () => Promise<unknown>): void {
    this.#steps.push(undo)
  }

  /** Undoes everything, whatever else fails. @returns what failed */
  async run(): Promise<readonly unknown[]> {
    const failures: unknown[] = []
    for (let undo = this.#steps.pop(); undo !== undefined; undo = this.#steps.pop()) {
      try {
        await undo()
      } catch (error) {
        failures.push(error)
      }
    }
    return failures
  }
}
