import {
  type CallOptions,
  type Change,
  type ChainId,
  GraphDriverError,
  type Layer,
  type LayerId,
  type LayerRecord,
  type Mount,
  type Operation,
  traced,
  type TarStream,
  type WritableLayer,
} from '@graphdriver/core'
import { HeldLayer } from './held-layer.ts'
import { registerLayer } from './register.ts'
import { requireOpen, requireWritable, type StoreContext, type WritableNode } from './store-context.ts'
import { verifyStack } from './verification.ts'
import { deleteWritable } from './writable-deletion.ts'

/** A writable layer of an open store. It holds nothing: the record on disk is what keeps the layer. */
export class StoredWritableLayer implements WritableLayer {
  readonly name: string
  readonly parent: ChainId | undefined
  readonly mountId: LayerId
  readonly initId: LayerId | undefined
  readonly #context: StoreContext
  readonly #node: WritableNode

  constructor(context: StoreContext, node: WritableNode) {
    this.name = node.record.name
    this.parent = node.record.parent
    this.mountId = node.record.mountId
    this.initId = node.record.initId
    this.#context = context
    this.#node = node
  }

  async mount(options: CallOptions & { readonly mountLabel?: string | undefined } = {}): Promise<Mount> {
    this.#requireThere()
    return await this.#traced('mount', async () => {
      await verifyStack(this.#context, this.#node.parent, options)
      return await this.#context.driver.get(this.mountId, options)
    })
  }

  async changes(options: CallOptions = {}): Promise<readonly Change[]> {
    this.#requireThere()
    return this.#context.driver.changes(this.mountId, this.#below, options)
  }

  async *diff(options: CallOptions = {}): TarStream & AsyncGenerator<Uint8Array> {
    this.#requireThere()
    yield* this.#context.driver.diff(this.mountId, this.#below, options)
  }

  async size(options: CallOptions = {}): Promise<number> {
    this.#requireThere()
    return this.#context.driver.diffSize(this.mountId, this.#below, options)
  }

  async applyDiff(tar: TarStream, options: CallOptions = {}): Promise<number> {
    this.#requireThere()
    requireWritable(this.#context)
    return await this.#traced('apply', () =>
      this.#context.driver.applyDiff(this.mountId, this.#below, tar, options),
    )
  }

  async metadata(): Promise<Readonly<Record<string, string>>> {
    this.#requireThere()
    return this.#context.driver.metadata(this.mountId)
  }

  async commit(options: CallOptions = {}): Promise<Layer> {
    this.#requireThere()
    requireWritable(this.#context)
    const node = await this.#traced('commit', () =>
      registerLayer(this.#context, this.diff(options), this.parent, options),
    )
    return new HeldLayer(this.#context, node)
  }

  async release(): Promise<readonly LayerRecord[]> {
    requireWritable(this.#context)
    return await this.#traced('release', () => deleteWritable(this.#context, this.#node))
  }

  #traced<T>(operation: Operation['operation'], action: () => Promise<T>): Promise<T> {
    return traced({ operation, driver: this.#context.driver.name, subject: this.name }, action)
  }

  /** What the layer's changes are relative to: never what the init hook wrote. */
  get #below(): LayerId | undefined {
    return this.initId ?? this.#node.parent?.record.cacheId
  }

  /** @throws GD_CLOSED, GD_WRITABLE_LAYER_NOT_FOUND */
  #requireThere(): void {
    requireOpen(this.#context)
    if (!this.#node.gone) return
    const message = `writable layer '${this.name}' was released; create it again`
    throw new GraphDriverError('GD_WRITABLE_LAYER_NOT_FOUND', message, { name: this.name })
  }
}
