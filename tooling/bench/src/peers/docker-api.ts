/** dockerd's API, without a process for each call. */
import { Agent, request } from 'node:http'

export class DockerApi implements Disposable {
  readonly #socketPath: string
  readonly #agent = new Agent({ keepAlive: true })

  constructor(socketPath: string) {
    this.#socketPath = socketPath
  }

  /** @returns the body, which is read to its end */
  async call(method: 'GET' | 'POST' | 'DELETE', path: string, body?: unknown): Promise<Buffer> {
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
    const { status, chunks } = await this.#send(method, path, body)
    const parts: Buffer[] = []
    chunks.on('data', (part: Buffer) => parts.push(part))
    chunks.on('error', reject)
    chunks.on('end', () => {
      const whole = Buffer.concat(parts)
      if (status < 400) resolve(whole)
      else reject(new Error(`${method} ${path}: ${status} ${whole.toString()}`))
    })
    return promise
  }

  /** @returns how many bytes came */
  async count(path: string): Promise<number> {
    const { status, chunks } = await this.#send('GET', path)
    let bytes = 0
    let answer = ''
    for await (const chunk of chunks) {
      bytes += (chunk as Buffer).length
      if (status >= 400) answer += String(chunk)
    }
    if (status >= 400) throw new Error(`GET ${path}: ${status} ${answer}`)
    return bytes
  }

  /** @param command instead of the image's own, which it must have one of */
  async create(image: string, command?: readonly string[]): Promise<string> {
    const answer: unknown = JSON.parse(
      (await this.call('POST', '/containers/create', { Image: image, Cmd: command })).toString(),
    )
    return (answer as { readonly Id: string }).Id
  }

  async start(id: string): Promise<void> {
    await this.call('POST', `/containers/${id}/start`)
  }

  /** Ends it, if it runs. */
  async remove(id: string): Promise<void> {
    await this.call('DELETE', `/containers/${id}?force=1`)
  }

  [Symbol.dispose](): void {
    this.#agent.destroy()
  }

  #send(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ readonly status: number; readonly chunks: NodeJS.ReadableStream }> {
    const { promise, resolve, reject } = Promise.withResolvers<{
      status: number
      chunks: NodeJS.ReadableStream
    }>()
    const sent = request(
      {
        socketPath: this.#socketPath,
        path,
        method,
        agent: this.#agent,
        headers: { host: 'docker', 'content-type': 'application/json' },
      },
      (response) => resolve({ status: response.statusCode ?? 500, chunks: response }),
    )
    sent.on('error', reject)
    sent.end(body === undefined ? undefined : JSON.stringify(body))
    return promise
  }
}
