/** Whether image layers are, byte for byte, what was registered. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { examineTree, type TreeDamage } from '@graphdriver/archive'
import {
  type CallOptions,
  type ChainId,
  isGraphDriverError,
  type LayerRecord,
  unlessAborted,
} from '@graphdriver/core'
import { sizeOf } from './check-records.ts'
import { type Finding, reload } from './finding.ts'
import { LayerPlaces } from './layer-places.ts'
import { layerDirectory, tarSplitName } from './layerdb.ts'
import { readLayerRecord } from './layer-record.ts'
import type { StoreContext } from './store-context.ts'

export interface ContentCheckProgress {
  readonly layer: LayerRecord
  /** Bytes of its files that were read. */
  readonly bytes: number
  readonly done: boolean
}

export interface ContentCheckOptions extends CallOptions {
  /** Only these; by default all. */
  readonly layers?: readonly ChainId[] | undefined
  /** So much is read in a second, at the most. */
  readonly bytesPerSecond?: number | undefined
  readonly onProgress?: ((progress: ContentCheckProgress) => void) | undefined
}

export async function* checkContents(
  context: StoreContext,
  options: ContentCheckOptions,
): AsyncGenerator<Finding, void, void> {
  const { layers, signal, bytesPerSecond } = options
  const pace = new Pace(bytesPerSecond, signal)
  for (const record of context.graph.records()) {
    if (layers?.includes(record.chainId) === false) continue
    signal?.throwIfAborted()
    const findings = await examine(context, record, options, pace)
    // It may have been removed while it was read.
    if (findings.length > 0 && (await isStillThere(context, record))) yield* findings
  }
}

async function examine(
  context: StoreContext,
  record: LayerRecord,
  { signal, onProgress }: ContentCheckOptions,
  pace: Pace,
): Promise<readonly Finding[]> {
  const { driver, layerdb } = context
  const { chainId, cacheId, diffId } = record
  const recipe = path.join(layerDirectory(layerdb, chainId), tarSplitName)
  // What is not there is told by the check of records.
  if (!(await driver.exists(cacheId))) return []
  if ((await sizeOf(recipe)) === undefined) return await examineWithoutRecipe(context, record, recipe, signal)
  const damaged: TreeDamage[] = []
  let bytes = 0
  await using files = await LayerPlaces.open(driver, cacheId, { signal })
  const { digest } = await examineTree(opened(recipe), files.path, {
    signal,
    elsewhere: files.elsewhere,
    below: driver.ownFiles === undefined ? await recipesBelow(context, record) : undefined,
    onDamage: (damage) => void damaged.push(damage),
    async onRead(read) {
      bytes += read
      onProgress?.({ layer: record, bytes, done: false })
      await pace.after(read)
    },
  })
  onProgress?.({ layer: record, bytes, done: true })
  if (damaged.length === 0 && digest !== diffId)
    damaged.push({ path: undefined, expected: diffId, found: digest })
  return damaged.map(({ path: file = recipe, expected, found }) => ({
    kind: 'damage',
    object: `layer ${chainId}`,
    layer: chainId,
    file,
    expected,
    found,
    remedy: reload,
  }))
}

/** Where a layer's tree is a copy of its parent's: what those below it were made of. None, if that is not known of all. */
async function recipesBelow(
  { graph, layerdb }: StoreContext,
  { parent }: LayerRecord,
): Promise<readonly AsyncIterable<Uint8Array>[]> {
  const recipes: string[] = []
  for (let at = parent; at !== undefined; at = graph.get(at)?.record.parent) {
    const recipe = path.join(layerDirectory(layerdb, at), tarSplitName)
    if ((await sizeOf(recipe)) === undefined) return []
    recipes.unshift(recipe)
  }
  return recipes.map((recipe) => opened(recipe))
}

/** When it is its turn: what is never read is never open. */
async function* opened(file: string): AsyncGenerator<Uint8Array, void, void> {
  yield* createReadStream(file) as AsyncIterable<Buffer>
}

/** A driver that gives back every tar exactly needs no recipe; of any other it has been lost. */
async function examineWithoutRecipe(
  { driver, graph }: StoreContext,
  { chainId, cacheId, diffId, parent }: LayerRecord,
  recipe: string,
  signal: AbortSignal | undefined,
): Promise<readonly Finding[]> {
  const below = parent === undefined ? undefined : graph.get(parent)?.record.cacheId
  const hash = createHash('sha256')
  for await (const chunk of driver.diff(cacheId, below, { signal })) hash.update(chunk)
  if (`sha256:${hash.digest('hex')}` === diffId) return []
  const found = 'nothing, and its files do not make up for it'
  return [
    {
      kind: 'damage',
      object: `layer ${chainId}`,
      layer: chainId,
      file: recipe,
      expected: 'a recipe of its tar',
      found,
      remedy: reload,
    },
  ]
}

async function isStillThere({ layerdb }: StoreContext, { chainId, cacheId }: LayerRecord): Promise<boolean> {
  try {
    const read = await readLayerRecord(layerDirectory(layerdb, chainId), chainId)
    return read?.cacheId === cacheId
  } catch (error) {
    if (!isGraphDriverError(error, 'GD_STORE_CORRUPT')) throw error
    return true
  }
}

/** Waits so that no more is read than a number of bytes a second. */
class Pace {
  readonly #bytesPerSecond: number | undefined
  readonly #signal: AbortSignal | undefined
  readonly #began = performance.now()
  #bytes = 0

  constructor(bytesPerSecond: number | undefined, signal: AbortSignal | undefined) {
    this.#bytesPerSecond = bytesPerSecond
    this.#signal = signal
  }

  async after(bytes: number): Promise<void> {
    if (this.#bytesPerSecond === undefined) return
    this.#bytes += bytes
    const due = this.#began + (this.#bytes / this.#bytesPerSecond) * 1000
    const wait = due - performance.now()
    if (wait > 0) await unlessAborted(setTimeout(wait), this.#signal)
  }
}
