import type { ArchiveLimits } from '@graphdriver/archive'
import type { Driver, KeyedMutex, WritableLayerRecord } from '@graphdriver/core'
import { GraphDriverError } from '@graphdriver/core'
import { syncDirectory } from '@graphdriver/sys'
import type { FilesystemSync } from './filesystem-sync.ts'
import type { Layerdb } from './layerdb.ts'
import type { LayerGraph, LayerNode } from './layer-graph.ts'
import type { Removal } from './removal.ts'
import type { UnflushedLayers } from './unflushed.ts'

/**
 * When a call returns, `safe` has data and records on the disk. `fast` has records there, and `volatile` leaves all of it to the
 * kernel.
 */
export type Durability = 'safe' | 'fast' | 'volatile'

/** One writable layer of an open store. It lives as long as its record; a finished deletion leaves it `gone`. */
export interface WritableNode {
  readonly record: WritableLayerRecord
  readonly parent: LayerNode | undefined
  /** The record is no longer there; what may be left to do is letting go of the image layer below. */
  gone: boolean
  /** The deletion of image layers that this layer was the last to need, which a failure may have interrupted. */
  removal: Removal | undefined
}

/** What the operations of an open store share. */
export interface StoreContext {
  readonly driver: Driver
  readonly layerdb: Layerdb
  readonly durability: Durability
  readonly unflushed: UnflushedLayers
  readonly readOnly: boolean
  /** Of tars that are registered. */
  readonly limits: Partial<ArchiveLimits>
  readonly graph: LayerGraph
  readonly writable: Map<string, WritableNode>
  /** Changes of the record of one name, a ChainID or the name of a writable layer, happen one after another. */
  readonly records: KeyedMutex
  readonly filesystem: FilesystemSync
  /** Driver layers and transaction directories of calls under way, which are no orphans. */
  readonly pending: Set<string>
  /** The revision of the graph that the index of layers has; undefined while it is not known to have any. */
  indexed: number | undefined
  closed: boolean
}

/** Makes names durable that were added to or taken from a directory of records. */
export async function settle({ durability }: StoreContext, directory: string): Promise<void> {
  if (durability !== 'volatile') await syncDirectory(directory)
}

/** @throws GD_CLOSED */
export function requireOpen(context: StoreContext): void {
  if (!context.closed) return
  const object = context.layerdb.directory
  throw new GraphDriverError('GD_CLOSED', `layer store ${object} is closed; open it again`, { object })
}

/** @throws GD_CLOSED, GD_READ_ONLY */
export function requireWritable(context: StoreContext): void {
  requireOpen(context)
  if (!context.readOnly) return
  const object = context.layerdb.directory
  const message = `layer store ${object} is open for reading only; open it without readOnly`
  throw new GraphDriverError('GD_READ_ONLY', message, { object })
}
