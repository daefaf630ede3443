import { Interrupted, signalExitCode } from './interruption.ts'
import type { Invocation } from './invocation.ts'

/**
 * Being told to end takes effect between two cases: a case undoes what it does. A driver may hang, though, so the
 * second time ends the process at once; what the suite has made goes even then.
 */
export class UnhurriedEnding implements Disposable {
  readonly #controller = new AbortController()
  readonly #diversion: Disposable

  constructor({ interruption, log }: Invocation) {
    this.#diversion = interruption.divert((signal) => {
      if (this.signal.aborted) process.exit(signalExitCode(signal))
      log.warn('ending after the case under way; once more ends at once')
      this.#controller.abort(new Interrupted(signal))
    })
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  [Symbol.dispose](): void {
    this.#diversion[Symbol.dispose]()
  }
}
