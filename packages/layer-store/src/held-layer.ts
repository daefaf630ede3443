import {
  type CallOptions,
  type ChainId,
  type DiffId,
  GraphDriverError,
  type Layer,
  type LayerId,
  type LayerRecord,
  type Mount,
  type TarStream,
  traced,
} from '@graphdriver/core'
import { type LayerNode, retain } from './layer-graph.ts'
import { layerTar, layerTarFrom, layerTarSize } from './layer-tar.ts'
import { Removal } from './removal.ts'
import { requireOpen, type StoreContext } from './store-context.ts'
import { verifyStack } from './verification.ts'

/** One reference on an image layer. */
export class HeldLayer implements Layer {
  readonly chainId: ChainId
  readonly diffId: DiffId
  readonly parent: ChainId | undefined
  readonly cacheId: LayerId
  readonly diffSize: number
  readonly size: number
  readonly depth: number
  readonly #context: StoreContext
  readonly #node: LayerNode
  #removal: Removal | undefined
  #releasing: Promise<readonly LayerRecord[]> | undefined
  #done = false

  /** Turns the hold of a call under way into a reference. */
  constructor(context: StoreContext, node: LayerNode) {
    const { record } = node
    this.chainId = record.chainId
    this.diffId = record.diffId
    this.parent = record.parent
    this.cacheId = record.cacheId
    this.diffSize = record.diffSize
    this.size = record.size
    this.depth = record.depth
    this.#context = context
    this.#node = node
    retain(node)
    node.holds -= 1
  }

  async *tar(options: CallOptions = {}): TarStream & AsyncGenerator<Uint8Array> {
    this.#requireHeld()
    yield* layerTar(this.#context, this.#node, options)
  }

  async tarSize(options: CallOptions = {}): Promise<number> {
    this.#requireHeld()
    return await layerTarSize(this.#context, this.#node, options)
  }

  async *tarFrom(
    ancestor: ChainId | undefined,
    options: CallOptions = {},
  ): TarStream & AsyncGenerator<Uint8Array> {
    this.#requireHeld()
    yield* layerTarFrom(this.#context, this.#node, ancestor, options)
  }

  async mount(options: CallOptions = {}): Promise<Mount> {
    this.#requireHeld()
    const { driver } = this.#context
    return await traced({ operation: 'mount', driver: driver.name, subject: this.chainId }, async () => {
      await verifyStack(this.#context, this.#node, options)
      return await driver.get(this.cacheId, { signal: options.signal })
    })
  }

  async metadata(): Promise<Readonly<Record<string, string>>> {
    this.#requireHeld()
    return this.#context.driver.metadata(this.cacheId)
  }

  release(): Promise<readonly LayerRecord[]> {
    this.#releasing ??= this.#release()
    return this.#releasing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release()
  }

  async #release(): Promise<readonly LayerRecord[]> {
    if (this.#done) return []
    this.#removal ??= new Removal(this.#context, this.#node)
    try {
      const removal = this.#removal
      const { name: driver } = this.#context.driver
      const operation = { operation: 'release', driver, subject: this.chainId } as const
      const removed = await traced(operation, () => removal.run())
      this.#done = true
      return removed
    } finally {
      // A release that failed can be repeated; one that succeeded has nothing to tell the second time.
      this.#releasing = undefined
    }
  }

  /** @throws GD_CLOSED, GD_LAYER_NOT_RETAINED */
  #requireHeld(): void {
    requireOpen(this.#context)
    if (this.#removal === undefined) return
    const message = `layer ${this.chainId} was released; get it from the store again`
    throw new GraphDriverError('GD_LAYER_NOT_RETAINED', message, { id: this.chainId })
  }
}
