/** The plugin as an HTTP server on a unix socket. */
import { chmod } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { once } from 'node:events'
import { GraphDriverError } from '@graphdriver/core'
import { freeSocket } from '@graphdriver/sys'
import { failureResponse } from './failure.ts'
import {
  callHeader,
  cancelTarget,
  contentType,
  type DockerCall,
  dockerCalls,
  type ExtensionCall,
  extensionCalls,
  type Request,
  type Response,
  targetOf,
  tarType,
} from './protocol.ts'
import { RunningCalls } from './running-calls.ts'
import { PluginService, type ServiceOptions } from './service.ts'

export interface PluginOptions extends ServiceOptions {
  /** Path of the socket; its directory is made if need be. Only root may connect. */
  readonly socket: string
  /** Hears of each call that failed, with Docker's name for it. */
  readonly onFailure?: ((call: string, error: unknown) => void) | undefined
}

/** A plugin that serves. Disposing it ends the calls under way, and leaves mounted what is mounted. */
export interface Plugin extends AsyncDisposable {
  readonly socket: string
}

/** What a JSON request may have at most; dockerd's have a few hundred bytes. */
const longestRequest = 1024 * 1024

/**
 * Serves a driver as Docker's plugin protocol wants it. The driver is opened when dockerd says where (`Init`), which is
 * kept in `<socket>.init`: a plugin that is started again goes on with it, since dockerd does not say it again. The
 * layers being made are kept in `<socket>.creating/`: those that a plugin that was killed left go with its next start.
 *
 * @throws GD_IN_USE when another plugin answers at the socket
 */
export async function servePlugin(options: PluginOptions): Promise<Plugin> {
  const service = new PluginService(options, options.socket)
  const calls = new RunningCalls()
  const server = createServer(
    // Go sends an empty Host to a unix socket.
    { requireHostHeader: false, requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 0 },
    (request, response) => void answer(request, response, { service, calls, options }),
  )
  await listen(server, options.socket)
  let serves = true
  return {
    socket: options.socket,
    async [Symbol.asyncDispose]() {
      if (!serves) return
      serves = false
      // Its name goes first, so that nobody waits at it.
      const closed = once(server, 'close')
      server.close()
      calls.cancelAll()
      await calls.settled()
      server.closeAllConnections()
      await closed
      await service[Symbol.asyncDispose]()
    },
  }
}

async function listen(server: Server, socket: string): Promise<void> {
  if (!(await freeSocket(socket)))
    throw new GraphDriverError(
      'GD_IN_USE',
      `${socket}: another plugin serves there; end it, or choose another name or socket`,
      { object: socket, user: 'another plugin' },
    )
  server.listen(socket)
  await once(server, 'listening')
  await chmod(socket, 0o600)
}

interface Context {
  readonly service: PluginService
  readonly calls: RunningCalls
  readonly options: PluginOptions
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { service, calls, options }: Context,
): Promise<void> {
  const [target = '', query = ''] = (request.url ?? '').split('?')
  const controller = new AbortController()
  // Whoever asked has gone, and the connection with them; one that was answered may ask for more.
  response.on('close', () => {
    if (!response.writableFinished) controller.abort()
  })
  // A driver that waits for more of a body hears of it by that. Who has sent all of it waits for the answer.
  controller.signal.addEventListener('abort', () => {
    if (!request.complete) request.destroy()
  })
  const name = request.headers[callHeader]
  try {
    await calls.run(typeof name === 'string' ? name : undefined, controller, (signal) =>
      perform(target, query, { request, response, service, calls, signal }),
    )
  } catch (error) {
    options.onFailure?.(target.slice(1), error)
    await refuse(request, response, error)
  }
}

interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly service: PluginService
  readonly calls: RunningCalls
  readonly signal: AbortSignal
}

async function perform(target: string, query: string, exchange: Exchange): Promise<void> {
  const { request, response, service, calls, signal } = exchange
  if (request.method !== 'POST') return notFound(response, target)
  if (target === '/Plugin.Activate') return send(response, { Implements: ['GraphDriver'] })
  if (target === '/GraphDriver.Diff') return sendDiff(exchange)
  if (target === '/GraphDriver.ApplyDiff') {
    const ids = new URLSearchParams(query)
    const asked = { ID: ids.get('id'), Parent: ids.get('parent') }
    return send(response, { Size: await service.apply(asked, bodyOf(request), { signal }) })
  }
  if (target === cancelTarget) {
    await calls.cancel((await requestOf(request)).ID ?? '')
    return send(response, {})
  }
  const call = callsByTarget.get(target)
  if (call === undefined) return notFound(response, target)
  const told = new Promise<boolean>((resolve) => {
    response.once('close', () => resolve(response.writableFinished))
  })
  send(response, await service.call(call, await requestOf(request), told, { signal }))
}

const callsByTarget: ReadonlyMap<string, DockerCall | ExtensionCall> = new Map(
  [...dockerCalls, ...extensionCalls].map((call) => [targetOf(call), call]),
)

/** The tar as it comes, no faster than it is read. What fails before its first bytes is an answer like any other. */
async function sendDiff({ request, response, service, signal }: Exchange): Promise<void> {
  const tar = service.diff(await requestOf(request), { signal })[Symbol.asyncIterator]()
  try {
    let next = await tar.next()
    response.writeHead(200, { 'content-type': tarType })
    for (; next.done !== true; next = await tar.next()) {
      if (!response.write(next.value)) await once(response, 'drain', { signal })
    }
    response.end()
  } finally {
    await tar.return?.()
  }
}

/** The body, to be read by a driver: leaving it early must not cut the connection, over which the answer goes. */
async function* bodyOf(request: IncomingMessage): AsyncGenerator<Uint8Array> {
  yield* request.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>
}

async function requestOf(request: IncomingMessage): Promise<Request> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of bodyOf(request)) {
    length += chunk.length
    if (length > longestRequest) throw malformed(`it is longer than ${longestRequest} bytes`)
    chunks.push(chunk)
  }
  if (length === 0) return {}
  let value: unknown
  try {
    value = JSON.parse(Buffer.concat(chunks).toString())
  } catch (error) {
    throw malformed('it is no JSON', error)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw malformed('it is no object')
  return value
}

function malformed(why: string, cause?: unknown): GraphDriverError<'GD_INVALID_OPTION'> {
  const message = `the body of a plugin call: ${why}; send what Docker's graphdriver protocol says`
  return new GraphDriverError('GD_INVALID_OPTION', message, { option: 'body' }, { cause })
}

function send(response: ServerResponse, body: Response, status = 200): void {
  const text = `${JSON.stringify(body)}\n`
  const headers = { 'content-type': contentType, 'content-length': Buffer.byteLength(text) }
  response.writeHead(status, headers).end(text)
}

/** Docker takes this for a call that the plugin does not have. */
function notFound(response: ServerResponse, target: string): void {
  send(response, { Err: `${target} is no call of this plugin` }, 404)
}

async function refuse(request: IncomingMessage, response: ServerResponse, error: unknown): Promise<void> {
  if (response.headersSent) {
    // The end of a tar that breaks off must not look like one.
    response.destroy()
    return
  }
  // Docker's client takes a connection that is cut for a plugin that is away, and tries again with half a body: what it
  // sends is read to its end. Ours stops when it has the answer, which it could not read from a connection that is cut.
  // With a listener: by `resume` alone a stream stays where it is while the listener of whoever read it before is on its way out.
  request.on('data', () => undefined).resume()
  const isDockers = request.headers[callHeader] === undefined
  // Not by `once` of node:events, which fails when they hang up.
  if (isDockers && !request.complete && !request.destroyed)
    await new Promise((resolve) => request.once('close', resolve))
  send(response, failureResponse(error), 500)
}
