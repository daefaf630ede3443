import { type ChainId, GraphDriverError, isGraphDriverError } from '@graphdriver/core'
import { layerDirectory } from './layerdb.ts'
import type { LayerNode } from './layer-graph.ts'
import { readLayerRecord, type StoredLayer } from './layer-record.ts'
import { readRecordFile } from './record-file.ts'
import { unhold } from './removal.ts'
import type { StoreContext } from './store-context.ts'

/**
 * Finds a layer by what the disk says now, since another process may have added or deleted it, and takes a hold.
 *
 * @returns `undefined` when there is no whole record of it
 */
export function holdLayer(context: StoreContext, chainId: ChainId): Promise<LayerNode | undefined> {
  return context.records.exclusively(chainId, () => holdLocked(context, chainId))
}

/** The same for who has the record's name to itself already. */
export async function holdLocked(context: StoreContext, chainId: ChainId): Promise<LayerNode | undefined> {
  const { graph, layerdb } = context
  const directory = layerDirectory(layerdb, chainId)
  const known = graph.get(chainId)
  if (known !== undefined) {
    if ((await readRecordFile(directory, 'cache-id')) === known.record.cacheId) return held(known)
    graph.forget(known)
  }
  const stored = await readable(directory, chainId)
  if (stored === undefined) return undefined
  if (stored.parent === undefined) return held(graph.add(stored, undefined))
  const parent = await holdLayer(context, stored.parent)
  if (parent === undefined) return undefined
  const node = held(graph.add(stored, parent))
  await unhold(context, parent)
  return node
}

/** @throws GD_LAYER_NOT_FOUND */
export async function holdExisting(context: StoreContext, chainId: ChainId): Promise<LayerNode> {
  const node = await holdLayer(context, chainId)
  if (node !== undefined) return node
  const message = `layer ${chainId} is not in ${context.layerdb.directory}; register it first`
  throw new GraphDriverError('GD_LAYER_NOT_FOUND', message, { id: chainId })
}

function held(node: LayerNode): LayerNode {
  node.holds += 1
  return node
}

async function readable(directory: string, chainId: ChainId): Promise<StoredLayer | undefined> {
  try {
    return await readLayerRecord(directory, chainId)
  } catch (error) {
    if (isGraphDriverError(error, 'GD_STORE_CORRUPT')) return undefined
    throw error
  }
}
