/** What stands between us and a server, and does harm to what passes. */
import { once } from 'node:events'
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type ServerResponse,
} from 'node:http'
import { setTimeout } from 'node:timers/promises'

/** What becomes of one request. */
export type ProxyFault =
  | {
      readonly kind: 'status'
      readonly status: number
      readonly headers?: Readonly<Record<string, string>>
      readonly body?: string
    }
  /** The connection is closed after so many bytes of the answer; without any, before it begins. */
  | { readonly kind: 'drop'; readonly bytes: number }
  /** One byte of the answer is another. */
  | { readonly kind: 'damage' }
  /** So many milliseconds before each piece. */
  | { readonly kind: 'slow'; readonly pause: number }
  /** Nothing comes after the head, for ever. */
  | { readonly kind: 'silent' }

export interface FaultyProxy extends AsyncDisposable {
  /** `127.0.0.1:port`. */
  readonly host: string
  /** Paths with their methods, in the order in which they were asked for. */
  readonly asked: readonly string[]
  /** Bytes of answers that were passed on. */
  readonly sent: number
}

/** @param choose the fault of a request, if it has one; `count` is how often its path was asked for, from 1 on */
export async function faultyProxy(
  target: string,
  choose: (
    path: string,
    method: string,
    count: number,
    headers: IncomingHttpHeaders,
  ) => ProxyFault | undefined,
): Promise<FaultyProxy> {
  const asked: string[] = []
  let sent = 0
  const onBytes = (bytes: number): void => {
    sent += bytes
  }
  const counts = new Map<string, number>()
  const server = createServer((incoming, outgoing) => {
    const line = `${incoming.method ?? ''} ${incoming.url ?? ''}`
    asked.push(line)
    const count = (counts.get(line) ?? 0) + 1
    counts.set(line, count)
    const fault = choose(incoming.url ?? '', incoming.method ?? '', count, incoming.headers)
    void pass(target, incoming, outgoing, fault, onBytes)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port was given')
  return {
    host: `127.0.0.1:${address.port}`,
    asked,
    get sent() {
      return sent
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

async function pass(
  target: string,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  fault: ProxyFault | undefined,
  onBytes: (bytes: number) => void,
): Promise<void> {
  if (fault?.kind === 'status') {
    incoming.resume()
    outgoing.writeHead(fault.status, fault.headers).end(fault.body)
    return
  }
  const [hostname, port] = target.split(':')
  const { method, url, headers } = incoming
  const sent = request({ hostname, port, method, path: url, headers })
  incoming.pipe(sent)
  sent.on('error', () => outgoing.destroy())
  const [answer] = (await once(sent, 'response')) as [IncomingMessage]
  if (fault?.kind === 'drop' && fault.bytes === 0) {
    outgoing.destroy()
    return
  }
  outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
  outgoing.flushHeaders()
  if (fault?.kind === 'silent') return
  let passed = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    if (fault?.kind === 'slow') await setTimeout(fault.pause)
    if (fault?.kind === 'damage' && passed === 0 && chunk.length > 0)
      chunk.writeUInt8(chunk.readUInt8(chunk.length - 1) ^ 1, chunk.length - 1)
    if (fault?.kind === 'drop' && passed + chunk.length > fault.bytes) {
      outgoing.write(chunk.subarray(0, fault.bytes - passed), () => outgoing.destroy())
      return
    }
    passed += chunk.length
    onBytes(chunk.length)
    if (!outgoing.write(chunk)) await once(outgoing, 'drain')
  }
  outgoing.end()
}
