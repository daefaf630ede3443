import type { Driver, LayerId, LayerRecord } from '@graphdriver/core'
import { mountDirectory } from './layerdb.ts'
import { Removal } from './removal.ts'
import type { StoreContext, WritableNode } from './store-context.ts'
import { retireRecord } from './transaction.ts'

/**
 * Deletes a writable layer: its name, then its driver layers, then the image layers that nobody needs any more.
 *
 * The name goes first, so that no process that dies leaves one without its data: `collect` deletes the rest. If the driver
 * refuses, the name comes back, and the layer can be deleted again by it; unless its data is gone, and only something else is left.
 */
export function deleteWritable(context: StoreContext, node: WritableNode): Promise<readonly LayerRecord[]> {
  const { name, mountId, initId } = node.record
  return context.records.exclusively(name, async () => {
    if (!node.gone) {
      const layers = initId === undefined ? [mountId] : [mountId, initId]
      const retired = await retireRecord(context, mountDirectory(context.layerdb, name), layers)
      try {
        for (const layer of layers) await context.driver.remove(layer)
      } catch (error) {
        if (await isSurelyGone(context.driver, mountId)) retired.leave()
        else await retired.restore()
        throw error
      }
      await retired.discard()
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

async function isSurelyGone(driver: Driver, id: LayerId): Promise<boolean> {
  try {
    return !(await driver.exists(id))
  } catch {
    // The failure that led here is the one to tell.
    return false
  }
}
