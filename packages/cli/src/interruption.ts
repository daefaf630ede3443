import { constants } from 'node:os'

/** Why a call was aborted: a signal told us to end. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted'
  readonly signal: EndingSignal

  constructor(signal: EndingSignal) {
    super(`ended by ${signal}`)
    this.signal = signal
  }

  /** As a shell reports it. */
  get exitCode(): number {
    return signalExitCode(this.signal)
  }
}

const endingSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
export type EndingSignal = (typeof endingSignals)[number]

export function signalExitCode(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal]
}

/**
 * Turns the signals that ask a program to end into an abort, so that whatever is under way is undone before it does.
 * While a container's process runs, they are that process's business: `divert` hands them on.
 */
export class Interruption implements Disposable {
  readonly #controller = new AbortController()
  #receiver: ((signal: EndingSignal) => void) | undefined
  readonly #listen = (signal: NodeJS.Signals): void => {
    const ending = endingSignals.find((name) => name === signal)
    if (ending === undefined) return
    if (this.#receiver === undefined) this.#controller.abort(new Interrupted(ending))
    else this.#receiver(ending)
  }

  constructor() {
    for (const signal of endingSignals) process.on(signal, this.#listen)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  divert(receiver: (signal: EndingSignal) => void): Disposable {
    this.#receiver = receiver
    return {
      [Symbol.dispose]: () => {
        this.#receiver = undefined
      },
    }
  }

  [Symbol.dispose](): void {
    for (const signal of endingSignals) process.off(signal, this.#listen)
  }
}
