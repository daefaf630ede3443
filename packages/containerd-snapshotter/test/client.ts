/** The calls, as containerd makes them. */
import { Client, credentials } from '@grpc/grpc-js'
import { service as healthService } from 'grpc-health-check'
import { snapshotsService } from '../src/protocol.ts'

type Message = Record<string, unknown>

const definitions = [...Object.values(snapshotsService()), ...Object.values(healthService)]

function definitionOf(name: string): (typeof definitions)[number] {
  const definition = definitions.find(({ path }) => path.endsWith(`/${name}`))
  if (definition === undefined) throw new Error(`no call ${name}`)
  return definition
}

export class SnapshotterClient implements Disposable {
  readonly #client: Client

  constructor(socket: string) {
    this.#client = new Client(`unix://${socket}`, credentials.createInsecure())
  }

  call(name: string, request: object): Promise<Message> {
    const { path, requestSerialize, responseDeserialize } = definitionOf(name)
    const { promise, resolve, reject } = Promise.withResolvers<Message>()
    const deserialize = responseDeserialize as (bytes: Buffer) => Message
    this.#client.makeUnaryRequest(path, requestSerialize, deserialize, request, (error, response) => {
      if (error === null) resolve(response ?? {})
      else reject(error)
    })
    return promise
  }

  /** By the messages in which they come. */
  async list(...filters: readonly string[]): Promise<readonly (readonly { readonly name: string }[])[]> {
    const { path, requestSerialize, responseDeserialize } = definitionOf('List')
    const deserialize = responseDeserialize as (bytes: Buffer) => {
      readonly info: readonly { readonly name: string }[]
    }
    const stream = this.#client.makeServerStreamRequest(path, requestSerialize, deserialize, { filters })
    const messages: (readonly { readonly name: string }[])[] = []
    for await (const { info } of stream as AsyncIterable<{
      readonly info: readonly { readonly name: string }[]
    }>)
      messages.push(info)
    return messages
  }

  [Symbol.dispose](): void {
    this.#client.close()
  }
}
