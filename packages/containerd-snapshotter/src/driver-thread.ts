/**
 * A driver in a thread of its own. Drivers make system calls that do not give way, which are fast on a disk that works; on
 * one that stalls they would hold up whoever asks for what is in memory.
 */
import { setTimeout } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { reviveFailure } from '@graphdriver/archive'
import { type Change, GraphDriverError, type LayerId, layerMount, type Mount } from '@graphdriver/core'
import type { SnapshotDriver } from './snapshot-driver.ts'
import type { Aborted, Answered, Asked, CallName, Calls, Opening } from './thread-protocol.ts'

/** Milliseconds that a disk has to let the driver close. */
const patience = 5000

interface Waiting {
  readonly resolve: (value: never) => void
  readonly reject: (error: unknown) => void
}

export class DriverThread implements SnapshotDriver {
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  #last = 0
  #lost: Error | undefined

  private constructor(opening: Opening) {
    // Beside the bundle the thread's file is built; from source, Node runs it as it is.
    const file = import.meta.url.endsWith('.ts') ? './thread.ts' : './thread.js'
    const entry = new URL(file, import.meta.url)
    this.#worker = new Worker(entry, {
      workerData: opening,
      // Nothing of the program's own flags: a loader meant for its main file would break ours.
      execArgv: [],
      name: 'graphdriver-driver',
      trackUnmanagedFds: false,
    })
    this.#worker.on('message', (answer: Answered) => this.#take(answer))
    this.#worker.on('error', (error) => this.#end(error))
    this.#worker.on('exit', (code) => this.#end(new Error(`exit code ${code}`)))
  }

  /** @throws what the driver throws when it is opened */
  static async open(opening: Opening): Promise<DriverThread> {
    const thread = new DriverThread(opening)
    try {
      await thread.#answer(0)
      return thread
    } catch (error) {
      await thread.#worker.terminate()
      throw error
    }
  }

  createReadWrite(id: LayerId, { parent }: Calls['createReadWrite'][1] = {}): Promise<void> {
    return this.#call('createReadWrite', [id, { parent }])
  }

  remove(id: LayerId, { signal }: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    return this.#call('remove', [id], signal)
  }

  async get(id: LayerId): Promise<Mount> {
    const { path, readonly } = await this.#call<'get', Pick<Mount, 'path' | 'readonly'>>('get', [id])
    return layerMount(id, path, readonly, (mounted) => this.put(mounted))
  }

  put(id: LayerId): Promise<void> {
    return this.#call('put', [id])
  }

  changes(id: LayerId, parent: LayerId | undefined): Promise<readonly Change[]> {
    return this.#call('changes', [id, parent])
  }

  diffSize(id: LayerId, parent: LayerId | undefined): Promise<number> {
    return this.#call('diffSize', [id, parent])
  }

  async *layers(): AsyncGenerator<LayerId> {
    yield* await this.#call<'layers', readonly LayerId[]>('layers', [])
  }

  /** A disk that stalls is not waited for. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#lost !== undefined) return
    await Promise.race([this.#call('close', []), setTimeout(patience, undefined, { ref: false })])
    void this.#worker.terminate()
  }

  #call<Name extends CallName, Value>(name: Name, args: Calls[Name], signal?: AbortSignal): Promise<Value> {
    if (this.#lost !== undefined) return Promise.reject(this.#lost)
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error)
    const number = ++this.#last
    const asked: Asked<Name> = { number, name, args }
    this.#worker.postMessage(asked)
    const stop = (): void => this.#worker.postMessage({ abort: number } satisfies Aborted)
    signal?.addEventListener('abort', stop, { once: true })
    return this.#answer<Value>(number).finally(() => signal?.removeEventListener('abort', stop))
  }

  #answer<Value>(number: number): Promise<Value> {
    const { promise, resolve, reject } = Promise.withResolvers<Value>()
    this.#waiting.set(number, { resolve, reject })
    return promise
  }

  #take(answer: Answered): void {
    const waiting = this.#waiting.get(answer.number)
    this.#waiting.delete(answer.number)
    if (answer.ok) waiting?.resolve(answer.value as never)
    else waiting?.reject(reviveFailure(answer.failure))
  }

  #end(cause: Error): void {
    const { message } = cause
    this.#lost ??= new GraphDriverError(
      'GD_WORKER_LOST',
      `the driver's thread died (${message}); start the snapshotter again`,
      { reason: message },
      { cause },
    )
    for (const { reject } of this.#waiting.values()) reject(this.#lost)
    this.#waiting.clear()
  }
}
