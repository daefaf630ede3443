import { isGraphDriverError, type WritableLayerRecord } from '@graphdriver/core'
import { retain } from './layer-graph.ts'
import { holdLayer } from './layer-lookup.ts'
import { mountDirectory } from './layerdb.ts'
import { readMountRecord } from './mount-record.ts'
import { readRecordFile } from './record-file.ts'
import { unhold } from './removal.ts'
import type { StoreContext, WritableNode } from './store-context.ts'

/**
 * Finds a writable layer by what the disk says now. The caller has the record's name to itself.
 *
 * @returns `undefined` when there is no whole record of it
 */
export async function findWritable(context: StoreContext, name: string): Promise<WritableNode | undefined> {
  const directory = mountDirectory(context.layerdb, name)
  const known = context.writable.get(name)
  if (known !== undefined) {
    if ((await readRecordFile(directory, 'mount-id')) === known.record.mountId) return known
    forget(context, known)
  }
  const record = await readable(directory)
  if (record === undefined) return undefined
  if (record.parent === undefined)
    return addWritable(context, { record, parent: undefined, gone: false, removal: undefined })
  const parent = await holdLayer(context, record.parent)
  if (parent === undefined) return undefined
  const node = addWritable(context, { record, parent, gone: false, removal: undefined })
  await unhold(context, parent)
  return node
}

/** Adds a writable layer to the list, which from now on needs the image layer below it. */
export function addWritable(context: StoreContext, node: WritableNode): WritableNode {
  if (node.parent !== undefined) retain(node.parent)
  context.writable.set(node.record.name, node)
  return node
}

/** Takes a layer off the list that another process deleted. */
function forget(context: StoreContext, node: WritableNode): void {
  node.gone = true
  context.writable.delete(node.record.name)
  if (node.parent !== undefined) node.parent.references -= 1
}

async function readable(directory: string): Promise<WritableLayerRecord | undefined> {
  try {
    return await readMountRecord(directory)
  } catch (error) {
    if (isGraphDriverError(error, 'GD_STORE_CORRUPT')) return undefined
    throw error
  }
}
