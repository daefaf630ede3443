import { GraphDriverError } from '@graphdriver/core'
import { giveSpare, takeSpare } from './spare-threads.ts'
import { WorkerThread } from './worker-thread.ts'

interface Waiter {
  readonly resolve: (thread: WorkerThread) => void
  readonly reject: (error: unknown) => void
}

/**
 * Threads that are started when first needed, kept for the next job, replaced when they die, and left to other pools
 * in the end.
 *
 * The limit is for jobs that end by themselves. A job that moves a stream waits for its caller, who may wait for
 * another job meanwhile: were it to count, a few of them could bar all others, and each other, for ever.
 */
export class ThreadPool implements AsyncDisposable {
  readonly #entry: URL
  readonly #limit: number
  readonly #threads = new Set<WorkerThread>()
  readonly #idle: WorkerThread[] = []
  /** Those that have a job of a stream. */
  readonly #streaming = new Set<WorkerThread>()
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
   * Takes a thread for a job that ends by itself, waiting in line when all are taken. It must be given back.
   *
   * @throws GD_CLOSED, the signal's reason
   */
  async acquire(signal?: AbortSignal): Promise<WorkerThread> {
    this.#demandOpen(signal)
    if (this.#threads.size - this.#streaming.size - this.#idle.length >= this.#limit)
      return this.#wait(signal)
    return this.#takeIdle() ?? this.#start()
  }

  /**
   * Takes a thread at once, for a job that waits for whoever reads or writes its stream. It must be given back.
   *
   * @throws GD_CLOSED, the signal's reason
   */
  async acquireForStream(signal?: AbortSignal): Promise<WorkerThread> {
    this.#demandOpen(signal)
    const thread = this.#takeIdle() ?? this.#start()
    this.#streaming.add(thread)
    return thread
  }

  release(thread: WorkerThread): void {
    const streamed = this.#streaming.delete(thread)
    if (!thread.alive) this.#threads.delete(thread)
    // Who waits waits for the end of a job that counts.
    const waiter = streamed ? undefined : this.#waiters.shift()
    if (waiter !== undefined) waiter.resolve(thread.alive ? thread : this.#start())
    else if (thread.alive) this.#rest(thread)
  }

  /** More than the limit are not kept. One that is on its way out still counts, so that disposing waits for it. */
  #rest(thread: WorkerThread): void {
    if (this.#idle.length < this.#limit) this.#idle.push(thread)
    else void this.#dismiss(thread)
  }

  async #dismiss(thread: WorkerThread): Promise<void> {
    this.#streaming.add(thread)
    await giveSpare(thread, this.#entry)
    this.#streaming.delete(thread)
    this.#threads.delete(thread)
  }

  #demandOpen(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted()
    if (this.#closed) throw closed()
  }

  /** Aborts what runs, waits until it has stopped, and lets the threads go. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    for (const waiter of this.#waiters.splice(0)) waiter.reject(closed())
    await Promise.all([...this.#threads].map((thread) => this.#stop(thread)))
    this.#threads.clear()
    this.#streaming.clear()
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
    const thread = takeSpare(this.#entry) ?? new WorkerThread(this.#entry)
    this.#threads.add(thread)
    return thread
  }

  /** A thread is let go only between jobs: what it has open would stay open in this process. */
  async #stop(thread: WorkerThread): Promise<void> {
    thread.abort(closed())
    await thread.idle()
    await giveSpare(thread, this.#entry)
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

function closed(): GraphDriverError {
  return new GraphDriverError('GD_CLOSED', 'tree workers were disposed', { object: 'TreeWorkers' })
}
