/** Calls of a plugin over its socket. */
import { Agent, type IncomingMessage, request as httpRequest } from 'node:http'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { CallOptions, TarStream } from '@graphdriver/core'
import { thrownFor } from './failure.ts'
import { callHeader, cancelTarget, type Request, type Response } from './protocol.ts'

export class Connection {
  readonly #socket: string
  readonly #agent = new Agent({ keepAlive: true })

  constructor(socket: string) {
    this.#socket = socket
  }

  /** @throws what the plugin's driver threw; the signal's reason */
  async call(target: string, body: Request = {}, options: CallOptions = {}): Promise<Response> {
    await using exchange = await this.#send(target, jsonOf(body), options)
    return await exchange.json()
  }

  /** The same with a tar as the body. */
  async upload(target: string, tar: TarStream, options: CallOptions): Promise<Response> {
    await using exchange = await this.#send(target, tar, options)
    return await exchange.json()
  }

  /** The same with a tar as the answer. */
  async *download(target: string, body: Request, options: CallOptions): TarStream {
    await using exchange = await this.#send(target, jsonOf(body), options)
    yield* exchange.bytes()
  }

  close(): void {
    this.#agent.destroy()
  }

  async #send(target: string, body: TarStream | string, { signal }: CallOptions): Promise<Exchange> {
    signal?.throwIfAborted()
    const name = randomUUID()
    const sent = httpRequest({
      socketPath: this.#socket,
      agent: this.#agent,
      method: 'POST',
      path: target,
      headers: { [callHeader]: name },
    })
    const exchange = new Exchange(sent, signal, async () => target === cancelTarget || this.#cancel(name))
    exchange.start(body)
    try {
      await exchange.answered()
      return exchange
    } catch (error) {
      await exchange[Symbol.asyncDispose]()
      throw error
    }
  }

  /**
   * What was under way has ended when this returns, so that nothing of it comes later.
   *
   * @returns false for a plugin that is away, which is at nothing, and for one that cannot cancel
   */
  async #cancel(name: string): Promise<boolean> {
    return this.call(cancelTarget, { ID: name }).then(
      () => true,
      () => false,
    )
  }
}

/** One call: its request, and its answer once there is one. */
class Exchange implements AsyncDisposable {
  readonly #sent: ReturnType<typeof httpRequest>
  readonly #signal: AbortSignal | undefined
  readonly #cancel: () => Promise<boolean>
  readonly #abort: () => void
  #answer: IncomingMessage | undefined
  #tarError: unknown
  #uploading: Promise<void> | undefined
  #waitsForTar = false
  #done = false

  constructor(
    sent: ReturnType<typeof httpRequest>,
    signal: AbortSignal | undefined,
    cancel: () => Promise<boolean>,
  ) {
    this.#sent = sent
    this.#signal = signal
    this.#cancel = cancel
    this.#abort = () => void this.#end()
    // Whoever waits hears of it; there may be nobody.
    sent.on('error', () => undefined)
    signal?.addEventListener('abort', this.#abort, { once: true })
  }

  start(body: TarStream | string): void {
    if (typeof body === 'string') {
      this.#sent.end(body)
      return
    }
    this.#uploading = this.#upload(body)
  }

  /**
   * A call that the plugin has whole may be done before it hears that nobody wants it any more. Only its answer tells,
   * and is waited for: the caller is never told that nothing happened when something did.
   */
  async #end(): Promise<void> {
    const awaitsAnswer = this.#uploading === undefined && this.#answer === undefined
    if (!awaitsAnswer || !(await this.#cancel())) this.#sent.destroy()
  }

  async #upload(tar: TarStream): Promise<void> {
    const source = tar[Symbol.asyncIterator]()
    try {
      for (;;) {
        this.#waitsForTar = true
        const next = await source.next()
        this.#waitsForTar = false
        if (next.done === true) {
          this.#sent.end()
          return
        }
        // A plugin that answered early reads no more, and its answer says why.
        if (this.#sent.destroyed) break
        // Its owner may use the memory of a chunk again when the next is asked for.
        if (!this.#sent.write(Buffer.from(next.value))) await this.#drained()
      }
      await source.return?.()
    } catch (error) {
      this.#tarError = error
      this.#sent.destroy()
    }
  }

  #drained(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const sent = this.#sent
    const wake = (): void => {
      // A long upload waits often: what did not come to pass is not listened for any more.
      sent.off('drain', wake).off('close', wake)
      resolve()
    }
    sent.on('drain', wake).on('close', wake)
    return promise
  }

  async answered(): Promise<void> {
    try {
      const [answer] = (await once(this.#sent, 'response')) as [IncomingMessage]
      this.#answer = answer
      if (answer.statusCode !== 200) throw thrownFor(await this.json())
    } catch (error) {
      throw this.#reasonFor(error)
    }
  }

  async json(): Promise<Response> {
    const chunks: Uint8Array[] = []
    for await (const chunk of this.bytes()) chunks.push(chunk)
    const response = JSON.parse(Buffer.concat(chunks).toString()) as Response
    if (response.Err !== undefined && response.Err !== '') throw thrownFor(response)
    return response
  }

  /** @throws Error for an answer that breaks off */
  async *bytes(): AsyncGenerator<Uint8Array> {
    if (this.#answer === undefined) return
    try {
      yield* this.#answer as AsyncIterable<Uint8Array>
      this.#done = true
    } catch (error) {
      throw this.#reasonFor(error)
    }
  }

  /** What the caller is to hear: that it was the one who ended it, or what its tar threw. */
  #reasonFor(error: unknown): unknown {
    if (this.#signal?.aborted === true) return this.#signal.reason
    return this.#tarError ?? error
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#signal?.removeEventListener('abort', this.#abort)
    if (this.#done && this.#sent.writableFinished) return
    // Of a tar that was refused, the rest is of no use.
    this.#sent.destroy()
    // A tar that has nothing to say now is left when it has.
    if (!this.#waitsForTar) await this.#uploading
    if (!this.#done) await this.#cancel()
  }
}

function jsonOf(body: Request): string {
  return `${JSON.stringify(body)}\n`
}
