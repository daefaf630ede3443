import { Worker } from 'node:worker_threads'
import { SystemError } from '@graphdriver/sys'

export type SyncReply =
  | { readonly done: true }
  | {
      readonly done: false
      /** Negative, as Node has it; `undefined` for what is no error of the system. */
      readonly errno: number | undefined
      readonly syscall: string
      readonly message: string
    }

interface Request {
  readonly directory: string
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/**
 * Makes whole filesystems durable, in a thread that starts with the first request and keeps no process alive.
 * The thread answers requests in order.
 */
export class FilesystemSync implements AsyncDisposable {
  #thread: Worker | undefined
  readonly #waiting: Request[] = []

  /** Returns when everything written so far to the filesystem that holds `directory` is on the disk. */
  run(directory: string): Promise<void> {
    const thread = (this.#thread ??= this.#start())
    thread.ref()
    return new Promise((resolve, reject) => {
      this.#waiting.push({ directory, resolve, reject })
      thread.postMessage(directory)
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const thread = this.#thread
    this.#thread = undefined
    await thread?.terminate()
  }

  #start(): Worker {
    // The source runs as it is in tests, the bundle everywhere else.
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
    const thread = new Worker(new URL(`./sync-thread.${extension}`, import.meta.url), { execArgv: [] })
    thread.unref()
    thread.on('message', (reply: SyncReply) => {
      const request = this.#waiting.shift()
      if (this.#waiting.length === 0) thread.unref()
      if (request === undefined) return
      if (reply.done) request.resolve()
      else request.reject(failure(reply, request.directory))
    })
    thread.on('error', (error) => {
      this.#abandon(thread, error instanceof Error ? error : new Error(String(error)))
    })
    thread.on('exit', () => {
      this.#abandon(thread, new Error('the thread that syncs filesystems has ended'))
    })
    return thread
  }

  #abandon(thread: Worker, error: Error): void {
    if (this.#thread === thread) this.#thread = undefined
    for (const request of this.#waiting.splice(0)) request.reject(error)
  }
}

function failure(reply: SyncReply & { readonly done: false }, directory: string): Error {
  if (reply.errno === undefined) return new Error(reply.message)
  return new SystemError(-reply.errno, { syscall: reply.syscall, path: directory })
}
