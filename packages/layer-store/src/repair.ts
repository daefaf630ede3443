/**
 * Image layers that are damaged, made again from tars that come from elsewhere.
 *
 * A layer of a driver cannot be changed once another stands on it. So the damaged layer and all that stand on it, writable
 * ones too, are made anew beside the old; only when all of them are there and on the disk do their records change, each by
 * one exchange of two directories. Whenever the process ends, every record names layers that are whole as far as they
 * were. The old ones go into quarantine, before anything points elsewhere.
 */
import path from 'node:path'
import {
  type CallOptions,
  type ChainId,
  type DiffId,
  type LayerId,
  type LayerRecord,
  parseLayerId,
  randomLayerId,
  type StackedLayer,
  type WritableLayerRecord,
} from '@graphdriver/core'
import { layerDirectory, mountDirectory, tarSplitName } from './layerdb.ts'
import type { LayerNode } from './layer-graph.ts'
import { layerFiles } from './layer-record.ts'
import { layerTar } from './layer-tar.ts'
import { mountFiles, mountIdFiles } from './mount-record.ts'
import { quarantine, readQuarantine } from './quarantine.ts'
import { requireDigest } from './register.ts'
import type { StoreContext, WritableNode } from './store-context.ts'
import { takeIn } from './tar-intake.ts'
import { TarSource } from './tar-source.ts'
import { Transaction } from './transaction.ts'

export interface RepairOptions extends CallOptions {
  /** The image layers that are damaged. */
  readonly damaged: readonly ChainId[]
  /** @returns undefined for a layer that is not to be had */
  readonly source: (diffId: DiffId) => StackedLayer['open'] | undefined
  /** Throws when somebody uses a writable layer, which is about to be replaced by an equal one. */
  readonly requireUnused: (name: string) => Promise<void>
  /** Hears of each layer that is made again. */
  readonly onLayer?: ((layer: LayerRecord) => void) | undefined
}

export interface Repaired {
  /** What was made again: the damaged layers and those that stand on them. */
  readonly layers: readonly ChainId[]
  readonly writable: readonly string[]
  /** What no source had; these, and what stands on them, are as before. */
  readonly missing: readonly DiffId[]
  /** The directory that names what was replaced; undefined when nothing was. */
  readonly quarantine: string | undefined
}

/** @throws what `requireUnused` and making layers throw; then all records are as before */
export async function repairLayers(context: StoreContext, options: RepairOptions): Promise<Repaired> {
  const { plan, missing } = planOf(context, options)
  const planned = new Set(plan.map(({ record }) => record.chainId))
  const writable = Array.from(context.writable.values()).filter(
    ({ record }) => record.parent !== undefined && planned.has(record.parent),
  )
  for (const { record } of writable) await options.requireUnused(record.name)
  const names = writable.map(({ record }) => record.name)
  if (plan.length === 0) return { layers: [], writable: [], missing, quarantine: undefined }
  const rebuilding = new Rebuilding(context, options)
  try {
    for (const planned of plan) await rebuilding.image(planned)
    for (const node of writable) await rebuilding.writable(node)
    const directory = await rebuilding.exchange()
    return { layers: [...planned], writable: names, missing, quarantine: directory }
  } catch (error) {
    await rebuilding.abandon()
    throw error
  } finally {
    await rebuilding[Symbol.asyncDispose]()
  }
}

/** A layer to be made again, and where its tar is. */
interface Planned {
  readonly record: LayerRecord
  readonly open: StackedLayer['open']
}

/** Base first. What is not damaged itself has its tar in the store, if it is nowhere else. */
function planOf(
  context: StoreContext,
  { damaged, source }: RepairOptions,
): { readonly plan: readonly Planned[]; readonly missing: readonly DiffId[] } {
  const plan: Planned[] = []
  const missing: DiffId[] = []
  const planned = new Set<ChainId>()
  const lost = new Set<ChainId>()
  for (const node of context.graph.nodes()) {
    const { record } = node
    const { chainId, diffId, parent } = record
    const isDamaged = damaged.includes(chainId)
    const outside = source(diffId)
    if (isDamaged && outside === undefined) missing.push(diffId)
    if ((parent !== undefined && lost.has(parent)) || (isDamaged && outside === undefined)) {
      lost.add(chainId)
    } else if (isDamaged || (parent !== undefined && planned.has(parent))) {
      planned.add(chainId)
      plan.push({ record, open: outside ?? ((call) => layerTar(context, node, call)) })
    }
  }
  return { plan, missing }
}

interface Rebuilt {
  readonly transaction: Transaction
  /** The directory of the record that it takes the place of. */
  readonly target: string
  readonly mode: number
  /** What it replaces, each after those that stand on it. */
  readonly old: readonly (readonly [what: string, id: LayerId])[]
}

class Rebuilding implements AsyncDisposable {
  readonly #context: StoreContext
  readonly #options: RepairOptions
  /** The new names of image layers. */
  readonly #fresh = new Map<ChainId, LayerId>()
  readonly #rebuilt: Rebuilt[] = []

  constructor(context: StoreContext, options: RepairOptions) {
    this.#context = context
    this.#options = options
  }

  async image({ record, open }: Planned): Promise<void> {
    const { signal, onLayer } = this.#options
    const { driver, layerdb } = this.#context
    const { chainId, diffId, parent } = record
    const cacheId = randomLayerId()
    const transaction = await this.#begin(
      [cacheId],
      { 'cache-id': cacheId },
      {
        target: layerDirectory(layerdb, chainId),
        mode: 0o700,
        old: [[chainId, record.cacheId]],
      },
    )
    const below = this.#cacheOf(parent)
    await driver.create(cacheId, { parent: below, signal })
    await using tar = new TarSource(open({ signal }), signal)
    const { diffId: found, diffSize } = await takeIn(tar, {
      limits: this.#context.limits,
      recipe: path.join(transaction.directory, tarSplitName),
      apply: (passed) => driver.applyDiff(cacheId, below, passed, { signal }),
    })
    requireDigest(diffId, found)
    await transaction.write(layerFiles({ chainId, diffId, parent, cacheId, diffSize }))
    this.#fresh.set(chainId, cacheId)
    onLayer?.(record)
  }

  /** The same changes on a new stack. */
  async writable({ record, parent }: WritableNode): Promise<void> {
    const { signal } = this.#options
    const { driver, layerdb } = this.#context
    const { name, mountId: oldMount, initId: oldInit } = record
    const mountId = randomLayerId()
    const initId = oldInit === undefined ? undefined : parseLayerId(`${mountId}-init`)
    const mount = { what: `mount:${name}`, from: oldMount, to: mountId }
    const moves =
      oldInit === undefined || initId === undefined
        ? [mount]
        : [{ what: `init:${name}`, from: oldInit, to: initId }, mount]
    const topFirst = moves.toReversed()
    const made = topFirst.map(({ to }) => to)
    const transaction = await this.#begin(made, mountIdFiles({ mountId, initId }), {
      target: mountDirectory(layerdb, name),
      mode: 0o755,
      old: topFirst.map(({ what, from }) => [what, from] as const),
    })
    let [below, oldBelow] = [this.#cacheOf(record.parent), await this.#standsOn(record, parent)]
    for (const { from, to } of moves) {
      await driver.createReadWrite(to, { parent: below, signal })
      await driver.applyDiff(to, below, driver.diff(from, oldBelow, { signal }), { signal })
      ;[below, oldBelow] = [to, from]
    }
    await transaction.write(mountFiles(record.parent))
  }

  /** Nothing has changed before; what fails from here on leaves every record with layers that are there. @returns the quarantine */
  async exchange(): Promise<string> {
    const { driver, filesystem, layerdb } = this.#context
    for (const place of [driver.home, layerdb.directory]) await filesystem.run(place)
    this.#options.signal?.throwIfAborted()
    const directory = await quarantine(
      layerdb,
      this.#rebuilt.toReversed().flatMap(({ old }) => old),
    )
    for (const { transaction, target, mode } of this.#rebuilt) await transaction.exchange(target, mode)
    return directory
  }

  /** Removes what has not taken its place, topmost first. */
  async abandon(): Promise<void> {
    for (const { transaction } of this.#rebuilt.toReversed()) await transaction.abandon()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { transaction } of this.#rebuilt) await transaction[Symbol.asyncDispose]()
  }

  async #begin(
    layers: readonly LayerId[],
    ids: Readonly<Record<string, string>>,
    rest: Omit<Rebuilt, 'transaction'>,
  ): Promise<Transaction> {
    const transaction = await Transaction.begin(this.#context, layers, ids)
    this.#rebuilt.push({ transaction, ...rest })
    return transaction
  }

  /** A repair that was cut short has replaced the layers below, and left the writable one on the old. */
  async #standsOn(
    { name, mountId }: WritableLayerRecord,
    parent: LayerNode | undefined,
  ): Promise<LayerId | undefined> {
    if (parent === undefined) return undefined
    const { chainId, cacheId } = parent.record
    const all = await readQuarantine(this.#context.layerdb)
    const left = all.find(({ byWhat }) => byWhat.get(`mount:${name}`) === mountId)
    return left?.byWhat.get(chainId) ?? cacheId
  }

  #cacheOf(chainId: ChainId | undefined): LayerId | undefined {
    if (chainId === undefined) return undefined
    return this.#fresh.get(chainId) ?? this.#context.graph.get(chainId)?.record.cacheId
  }
}
