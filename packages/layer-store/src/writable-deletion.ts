import type { LayerRecord } from '@graphdriver/core'
import { mountDirectory } from './layerdb.ts'
import { Removal } from './removal.ts'
import type { StoreContext, WritableNode } from './store-context.ts'
import { removeRecord } from './transaction.ts'

/**
 * Deletes a writable layer: its driver layers, then its record, then the image layers that nobody needs any more.
 *
 * The record goes after the data so that whatever fails, the layer is still there to be deleted again by its name.
 */
export function deleteWritable(context: StoreContext, node: WritableNode): Promise<readonly LayerRecord[]> {
  const { name, mountId, initId } = node.record
  return context.records.exclusively(name, async () => {
    if (!node.gone) {
      await context.driver.remove(mountId)
      if (initId !== undefined) await context.driver.remove(initId)
      await removeRecord(context, mountDirectory(context.layerdb, name))
      node.gone = true
      if (context.writable.get(name) === node) context.writable.delete(name)
      if (node.parent !== undefined) node.removal = new Removal(context, node.parent)
    }
    const removal = node.removal
    if (removal === undefined) return []
    const removed = await removal.run()
    node.removal = undefined
    return removed
  })
}
