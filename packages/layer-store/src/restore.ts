import path from 'node:path'
import { type ChainId, isGraphDriverError, parseChainId, type WritableLayerRecord } from '@graphdriver/core'
import { isOfTheMoment, isSystemError, namesIn } from '@graphdriver/sys'
import { readIndex, stampOf } from './layer-index.ts'
import { layerDirectory, mountDirectory, removingSuffix } from './layerdb.ts'
import { type LayerNode, retain } from './layer-graph.ts'
import { readLayerRecord, type StoredLayer } from './layer-record.ts'
import { parseMountName, readMountRecord } from './mount-record.ts'
import type { StoreContext } from './store-context.ts'

/** A record that could not be used, and why. */
export interface SkippedRecord {
  readonly path: string
  readonly reason: string
}

/** Open files at a time. */
const batch = 64
const chainHex = /^[0-9a-f]{64}$/

/** Fills a new context from the disk. What does not parse, or stands on what is not there, is skipped and listed. */
export async function restore(
  context: StoreContext,
  signal: AbortSignal | undefined,
): Promise<readonly SkippedRecord[]> {
  const skipped: SkippedRecord[] = []
  const { stored, isIndexed } = await readLayers(context, skipped, signal)
  for (const chainId of [...stored.keys()].sort()) link(context, stored, chainId, skipped)
  if (isIndexed) context.indexed = context.graph.revision
  await restoreMounts(context, skipped, signal)
  return skipped
}

async function readLayers(
  context: StoreContext,
  skipped: SkippedRecord[],
  signal: AbortSignal | undefined,
): Promise<{ readonly stored: ReadonlyMap<ChainId, StoredLayer>; readonly isIndexed: boolean }> {
  const { layerdb } = context
  const stored = new Map<ChainId, StoredLayer>()
  const stamp = await stampOf(layerdb.layers)
  const names = (await namesIn(layerdb.layers)).filter((name) => !name.endsWith(removingSuffix))
  const indexed = await readIndex(layerdb, names, stamp)
  if (indexed !== undefined) {
    for (const layer of indexed) stored.set(layer.chainId, layer)
    return { stored, isIndexed: true }
  }
  await inBatches(names, signal, async (name) => {
    const directory = path.join(layerdb.layers, name)
    if (!chainHex.test(name)) {
      skipped.push({ path: directory, reason: `${directory} is not named after a layer` })
      return
    }
    const chainId = parseChainId(`sha256:${name}`)
    const layer = await unlessCorrupt(directory, skipped, () => readLayerRecord(directory, chainId))
    if (layer !== undefined) stored.set(chainId, layer)
  })
  return { stored, isIndexed: false }
}

/** Adds a layer after those below it. Chains cannot be circular: a record's name is the hash of its parent's. */
function link(
  context: StoreContext,
  stored: ReadonlyMap<ChainId, StoredLayer>,
  chainId: ChainId,
  skipped: SkippedRecord[],
): LayerNode | undefined {
  const pile: StoredLayer[] = []
  let below: LayerNode | undefined
  for (let at: ChainId | undefined = chainId; at !== undefined;) {
    below = context.graph.get(at)
    if (below !== undefined) break
    const layer = stored.get(at)
    if (layer === undefined) {
      const directory = layerDirectory(context.layerdb, chainId)
      skipped.push({ path: directory, reason: `${directory} needs layer ${at}, which is not there` })
      return undefined
    }
    pile.push(layer)
    at = layer.parent
  }
  for (const layer of pile.reverse()) below = context.graph.add(layer, below)
  return below
}

async function restoreMounts(
  context: StoreContext,
  skipped: SkippedRecord[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const names = await namesIn(context.layerdb.mounts)
  await inBatches(names, signal, async (name) => {
    const directory = mountDirectory(context.layerdb, name)
    try {
      parseMountName(name)
    } catch {
      skipped.push({ path: directory, reason: `${directory} is not named after a writable layer` })
      return
    }
    const record = await unlessCorrupt(directory, skipped, () => readMountRecord(directory))
    if (record === undefined) {
      if (!skipped.some((skip) => skip.path === directory)) {
        skipped.push({ path: directory, reason: `${path.join(directory, 'mount-id')} is missing` })
      }
      return
    }
    adoptMount(context, record, skipped)
  })
}

function adoptMount(context: StoreContext, record: WritableLayerRecord, skipped: SkippedRecord[]): void {
  const parent = record.parent === undefined ? undefined : context.graph.get(record.parent)
  if (record.parent !== undefined && parent === undefined) {
    const directory = mountDirectory(context.layerdb, record.name)
    skipped.push({ path: directory, reason: `${directory} needs layer ${record.parent}, which is not there` })
    return
  }
  if (parent !== undefined) retain(parent)
  context.writable.set(record.name, { record, parent, gone: false, removal: undefined })
}

async function unlessCorrupt<T>(
  directory: string,
  skipped: SkippedRecord[],
  read: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await read()
  } catch (error) {
    // Whatever keeps one record from being read must not keep the others from being used; but one that could be read the next
    // moment is not to be taken for gone.
    if (!isGraphDriverError(error, 'GD_STORE_CORRUPT') && !isSystemError(error)) throw error
    if (isOfTheMoment(error)) throw error
    skipped.push({ path: directory, reason: error.message })
    return undefined
  }
}

async function inBatches(
  names: readonly string[],
  signal: AbortSignal | undefined,
  action: (name: string) => Promise<void>,
): Promise<void> {
  for (let start = 0; start < names.length; start += batch) {
    signal?.throwIfAborted()
    await Promise.all(names.slice(start, start + batch).map(action))
  }
}
