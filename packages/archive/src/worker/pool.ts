import { GraphDriverError } from '@graphdriver/core'
import { WorkerThread } from './worker-thread.ts'

interface Waiter {
  readonly resolve: (thread: WorkerThread) => void
  readonly reject: (error: unknown) => void
}

/** Threads that are started when first needed, kept for the next job, and replaced when they die. */
export class ThreadPool implements AsyncDisposable {
  readonly #entry: URL
  readonly #limit: number
  readonly #threads = new Set<WorkerThread>()
  readonly #idle: WorkerThread[] = []
  readonly #waiters: Waiter[] = []
  #closed = false

  constructor(entry: URL, limit: number) {
    this.#entry = entry
    this.#limit = limit
  }

  /** How many threads there are now. */
  get size(): number {
    return this.#threads.size
  }

  /**
   * Takes a thread for one job, waiting in line when all are taken. It must be given back.
   *
   * @throws GD_CLOSED, the signal's reason
   */
  async acquire(signal?: AbortSignal): Promise<WorkerThread> {
    signal?.throwIfAborted()
    if (this.#closed) throw closed()
    const idle = this.#takeIdle()
    if (idle !== undefined) return idle
    if (this.#threads.size < this.#limit) return this.#start()
    return this.#wait(signal)
  }

  release(thread: WorkerThread): void {
    if (!thread.alive) this.#threads.delete(thread)
    const waiter = this.#waiters.shift()
    if (waiter !== undefined) waiter.resolve(thread.alive ? thread : this.#start())
    else if (thread.alive) this.#idle.push(thread)
  }

  /** Aborts what runs, waits until it has stopped, and ends the threads. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    for (const waiter of this.#waiters.splice(0)) waiter.reject(closed())
    await Promise.all([...this.#threads].map(stop))
    this.#threads.clear()
    this.#idle.length = 0
  }

  #takeIdle(): WorkerThread | undefined {
    for (;;) {
      const thread = this.#idle.pop()
      if (thread === undefined || thread.alive) return thread
      this.#threads.delete(thread)
    }
  }

  #start(): WorkerThread {
    const thread = new WorkerThread(this.#entry)
    this.#threads.add(thread)
    return thread
  }

  async #wait(signal: AbortSignal | undefined): Promise<WorkerThread> {
    const { promise, resolve, reject } = Promise.withResolvers<WorkerThread>()
    const waiter: Waiter = { resolve, reject }
    const leave = () => {
      const place = this.#waiters.indexOf(waiter)
      if (place === -1) return
      this.#waiters.splice(place, 1)
      reject(signal?.reason)
    }
    this.#waiters.push(waiter)
    signal?.addEventListener('abort', leave, { once: true })
    try {
      return await promise
    } finally {
      signal?.removeEventListener('abort', leave)
    }
  }
}

/** A thread is ended only between jobs: what it has open would stay open in this process. */
async function stop(thread: WorkerThread): Promise<void> {
  thread.abort(closed())
  await thread.idle()
  await thread.terminate()
}

function closed(): GraphDriverError {
  return new GraphDriverError('GD_CLOSED', 'tree workers were disposed', { object: 'TreeWorkers' })
}
