import { GraphDriverError } from '@graphdriver/core'
import { Worker } from 'node:worker_threads'
import { reviveFailure } from './failure.ts'
import { createRing, resetRing, RingAborted, RingReader, type SharedRing } from './ring.ts'

interface Pending {
  readonly reject: (error: unknown) => void
  readonly settled: Promise<void>
}

/** One thread with its ring, doing one job at a time. While it has none it does not keep the process alive. */
export class WorkerThread {
  readonly ring: SharedRing = createRing()
  readonly #worker: Worker
  /** A ring end only to raise the abort flag with. */
  readonly #control = new RingReader(this.ring)
  #pending: Pending | undefined
  #lost: Error | undefined
  #reason: unknown

  constructor(entry: URL) {
    // Nothing of the program's own flags: a loader or `--input-type` meant for its main file would break ours.
    this.#worker = new Worker(entry, {
      workerData: this.ring,
      execArgv: [],
      name: 'graphdriver',
      trackUnmanagedFds: false,
    })
    this.#worker.unref()
    this.#worker.on('error', (error) => this.#end(error))
    this.#worker.on('exit', (code) => this.#end(new Error(`exit code ${code}`)))
  }

  /** False once the thread has died; it then takes no more jobs. */
  get alive(): boolean {
    return this.#lost === undefined
  }

  get busy(): boolean {
    return this.#pending !== undefined
  }

  /**
   * Starts a job. The ring is as new when this returns.
   *
   * @throws what the job throws; the reason it was aborted for; GD_WORKER_LOST
   */
  async run<Answer>(job: unknown, signal?: AbortSignal): Promise<Answer> {
    if (this.#lost !== undefined) throw this.#lost
    resetRing(this.ring)
    this.#reason = undefined
    const stop = () => this.abort(signal?.reason)
    signal?.addEventListener('abort', stop, { once: true })
    if (signal?.aborted === true) stop()
    this.#worker.ref()
    try {
      const { promise, resolve, reject } = Promise.withResolvers<Answer>()
      const settled = promise.then(
        () => undefined,
        () => undefined,
      )
      this.#pending = { reject, settled }
      this.#worker.once('message', (reply) => {
        this.#pending = undefined
        if (reply.ok === true) resolve(reply.answer)
        else reject(reviveFailure(reply.failure))
      })
      this.#worker.postMessage(job)
      return await promise
    } catch (error) {
      throw error instanceof RingAborted ? this.#reason : error
    } finally {
      signal?.removeEventListener('abort', stop)
      this.#worker.unref()
    }
  }

  /** Makes the running job stop at its next look; when it has, its promise rejects with `reason`. */
  abort(reason: unknown): void {
    this.#reason = reason
    this.#control.abort()
  }

  /** Whether a job in progress keeps the process alive: not while the caller sits on its bytes. */
  hold(held: boolean): void {
    if (held && this.busy) this.#worker.ref()
    else this.#worker.unref()
  }

  /** Resolves when no job runs. */
  async idle(): Promise<void> {
    await this.#pending?.settled
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate()
  }

  #end(cause: Error): void {
    this.#lost ??= new GraphDriverError(
      'GD_WORKER_LOST',
      `worker thread died (${cause.message}); the operation is incomplete and can be repeated`,
      { reason: cause.message },
      { cause },
    )
    this.#pending?.reject(this.#lost)
    this.#pending = undefined
    // Whoever waits for bytes would wait for ever.
    this.#control.abort()
  }
}
