/**
 * Several layers on top of each other. Where the driver can, some are unpacked at a time; all records become visible
 * when all data is there, base first, so that one flush of the filesystem serves for all.
 */
import { availableParallelism } from 'node:os'
import path from 'node:path'
import {
  type CallOptions,
  type ChainId,
  type LayerId,
  type LayerRecord,
  nextChainId,
  randomLayerId,
  type StackedLayer,
  type TarStream,
} from '@graphdriver/core'
import { HeldLayer } from './held-layer.ts'
import type { LayerNode } from './layer-graph.ts'
import { holdExisting, holdLayer } from './layer-lookup.ts'
import { layerFiles, type StoredLayer } from './layer-record.ts'
import { tarSplitName } from './layerdb.ts'
import { publish, requireDepth, requireDigest } from './register.ts'
import { unhold } from './removal.ts'
import type { StoreContext } from './store-context.ts'
import { takeIn } from './tar-intake.ts'
import { TarSource } from './tar-source.ts'
import { Transaction } from './transaction.ts'
import { settleData, verifyStack } from './verification.ts'

/** Each has a thread to unpack, and the main thread hashes for all: more than processors only take memory. */
const mostAtATime = Math.min(4, availableParallelism())

/** @returns the layers, each with a hold that the caller turns into a reference */
export async function registerStack(
  context: StoreContext,
  layers: readonly StackedLayer[],
  parent: ChainId | undefined,
  options: CallOptions,
): Promise<readonly LayerNode[]> {
  options.signal?.throwIfAborted()
  const below = parent === undefined ? undefined : await holdExisting(context, parent)
  try {
    for (;;) {
      const known = await holdKnown(context, layers, parent)
      try {
        for (const { onExisting } of layers.slice(0, known.length)) onExisting?.()
        const stack = new Stack(context, layers.slice(known.length), known.at(-1) ?? below, options)
        const added = await stack.register()
        if (added !== undefined) return [...known, ...added]
      } catch (error) {
        await unholdAll(context, known)
        throw error
      }
      // Somebody else has registered one of them meanwhile: begin with what there is now.
      await unholdAll(context, known)
    }
  } finally {
    if (below !== undefined) await unhold(context, below)
  }
}

/** Those from the base up that are there. */
async function holdKnown(
  context: StoreContext,
  layers: readonly StackedLayer[],
  parent: ChainId | undefined,
): Promise<readonly LayerNode[]> {
  const known: LayerNode[] = []
  let chainId = parent
  for (const { diffId } of layers) {
    chainId = nextChainId(chainId, diffId)
    const node = await holdLayer(context, chainId)
    if (node === undefined) break
    known.push(node)
  }
  return known
}

async function unholdAll(context: StoreContext, nodes: readonly LayerNode[]): Promise<void> {
  for (const node of nodes.toReversed()) await unhold(context, node)
}

/** A layer on its way. */
interface Rising {
  readonly source: StackedLayer
  readonly chainId: ChainId
  readonly parent: ChainId | undefined
  readonly cacheId: LayerId
  readonly transaction: Transaction
  /** Its data is there. */
  readonly applied: Promise<StoredLayer>
}

class Stack {
  readonly #context: StoreContext
  readonly #layers: readonly StackedLayer[]
  readonly #below: LayerNode | undefined
  readonly #signal: AbortSignal
  readonly #rising: Rising[] = []
  /** Ends what is under way when one of them fails. */
  readonly #failing = new AbortController()
  #failure: { readonly error: unknown } | undefined
  /** Some of them at a time. Otherwise each has the whole machine. */
  readonly #isBeside: boolean

  constructor(
    context: StoreContext,
    layers: readonly StackedLayer[],
    below: LayerNode | undefined,
    { signal }: CallOptions,
  ) {
    this.#context = context
    this.#layers = layers
    this.#below = below
    this.#isBeside = context.driver.applyBeside !== undefined && mostAtATime > 1 && layers.length > 1
    this.#signal = AbortSignal.any([this.#failing.signal, ...(signal === undefined ? [] : [signal])])
  }

  /** @returns undefined when one of them came from somebody else meanwhile, and nothing of ours is left */
  async register(): Promise<readonly LayerNode[] | undefined> {
    if (this.#layers.length === 0) return []
    this.#requireDepth()
    await verifyStack(this.#context, this.#below, { signal: this.#signal })
    try {
      await this.#unpack()
      const stored = await Promise.all(this.#rising.map(({ applied }) => applied))
      const { driver, layerdb } = this.#context
      const layers = stored.map(({ chainId }) => chainId)
      await settleData(this.#context, layers, [driver.home, layerdb.directory])
      this.#signal.throwIfAborted()
      return await this.#publish(stored)
    } catch (error) {
      this.#fail(error)
      await this.#abandon(this.#rising)
      throw this.#failure?.error ?? error
    } finally {
      for (const { transaction } of this.#rising) await transaction[Symbol.asyncDispose]()
    }
  }

  #requireDepth(): void {
    let below: Pick<LayerRecord, 'chainId' | 'depth'> | undefined = this.#below?.record
    for (const { diffId } of this.#layers) {
      requireDepth(this.#context, below)
      below = { chainId: nextChainId(below?.chainId, diffId), depth: (below?.depth ?? 0) + 1 }
    }
  }

  /** Starts one after another, as many at a time as may be. */
  async #unpack(): Promise<void> {
    const running = new Set<Promise<unknown>>()
    for (const source of this.#layers) {
      while (running.size >= (this.#isBeside ? mostAtATime : 1)) await Promise.race(running)
      this.#signal.throwIfAborted()
      const one = await this.#start(source)
      const ended = one.applied.then(
        () => undefined,
        () => undefined,
      )
      running.add(ended)
      void ended.then(() => running.delete(ended))
    }
  }

  async #start(source: StackedLayer): Promise<Rising> {
    const { driver } = this.#context
    const under = this.#rising.at(-1)
    const parent = under?.chainId ?? this.#below?.record.chainId
    const parentCache = under?.cacheId ?? this.#below?.record.cacheId
    const cacheId = randomLayerId()
    const transaction = await Transaction.begin(this.#context, [cacheId], { 'cache-id': cacheId })
    const begun = { source, chainId: nextChainId(parent, source.diffId), parent, cacheId, transaction }
    try {
      await driver.create(cacheId, { parent: parentCache, signal: this.#signal })
    } catch (error) {
      this.#fail(error)
      const one = { ...begun, applied: Promise.reject<StoredLayer>(error as Error) }
      one.applied.catch(() => undefined)
      this.#rising.push(one)
      throw error
    }
    const one = { ...begun, applied: this.#apply(begun, parentCache, under?.applied) }
    one.applied.catch(() => undefined)
    this.#rising.push(one)
    return one
  }

  async #apply(
    { source, chainId, parent, cacheId, transaction }: Omit<Rising, 'applied'>,
    parentCache: LayerId | undefined,
    below: Promise<unknown> | undefined,
  ): Promise<StoredLayer> {
    const { driver } = this.#context
    const signal = this.#signal
    try {
      await using tar = new TarSource(source.open({ signal }), signal)
      const { diffId, diffSize } = await takeIn(tar, {
        limits: this.#context.limits,
        recipe: path.join(transaction.directory, tarSplitName),
        isFlushed: false,
        apply: (passed: TarStream) =>
          this.#isBeside && driver.applyBeside !== undefined
            ? driver.applyBeside(cacheId, parentCache, passed, below ?? Promise.resolve(), { signal })
            : driver.applyDiff(cacheId, parentCache, passed, { signal }),
      })
      requireDigest(source.diffId, diffId)
      const stored: StoredLayer = { chainId, diffId, parent, cacheId, diffSize }
      await transaction.write(layerFiles(stored), true)
      return stored
    } catch (error) {
      // What an abort or the layer below did to this one is no fault of its source.
      const isFirst = this.#failure === undefined && !this.#signal.aborted
      this.#fail(isFirst && source.explain !== undefined ? await source.explain(error) : error)
      throw error
    }
  }

  /** Base first: a record never stands on one that is not there. */
  async #publish(stored: readonly StoredLayer[]): Promise<readonly LayerNode[] | undefined> {
    const nodes: LayerNode[] = []
    try {
      for (const [index, layer] of stored.entries()) {
        const rising = this.#rising[index]
        if (rising === undefined) throw new Error(`layer ${layer.chainId} has no transaction`)
        const node = await publish(this.#context, rising.transaction, layer, nodes.at(-1) ?? this.#below)
        nodes.push(node)
        if (node.record.cacheId === layer.cacheId) continue
        // What follows of ours stands on our own.
        await unholdAll(this.#context, nodes)
        await this.#abandon(this.#rising.slice(index))
        return undefined
      }
      return nodes
    } catch (error) {
      this.#rising.splice(0, nodes.length)
      for (const node of nodes.toReversed()) await new HeldLayer(this.#context, node).release()
      throw error
    }
  }

  /** The first failure is the one to tell; those that it causes follow at once. */
  #fail(error: unknown): void {
    this.#failure ??= { error }
    this.#failing.abort(error)
  }

  /** Topmost first, since each stands on the next. */
  async #abandon(rising: readonly Rising[]): Promise<void> {
    await Promise.allSettled(rising.map(({ applied }) => applied))
    for (const { transaction } of rising.toReversed()) await transaction.abandon()
  }
}
