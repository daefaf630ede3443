import { randomBytes } from 'node:crypto'
import { rename, rm } from 'node:fs/promises'
import type { LayerRecord } from '@graphdriver/core'
import { isSystemError } from '@graphdriver/sys'
import { layerDirectory, removingSuffix } from './layerdb.ts'
import type { LayerNode } from './layer-graph.ts'
import { readRecordFile } from './record-file.ts'
import { settle, type StoreContext } from './store-context.ts'

/**
 * The release of one reference and, if it was the last, the deletion of the layer and of those below that nobody
 * needs any more.
 *
 * A failure stops it where it is: the layer's record is already out of the way, the layers below are still needed
 * by it. Running it again goes on from there. If nobody does, `collect` of a later process clears the layer away.
 */
export class Removal {
  readonly #context: StoreContext
  readonly #removed: LayerRecord[] = []
  #node: LayerNode | undefined
  #dropped: boolean
  #retired: string | undefined

  /** @param dropped the reference is not to be counted down, because it already was */
  constructor(context: StoreContext, node: LayerNode, dropped = false) {
    this.#context = context
    this.#node = node
    this.#dropped = dropped
  }

  /** @returns what was deleted by this and earlier runs, topmost first */
  async run(): Promise<readonly LayerRecord[]> {
    while (this.#node !== undefined) {
      const node = this.#node
      if (!this.#dropped) node.references -= 1
      this.#dropped = true
      this.#retired ??= await retire(this.#context, node)
      if (this.#retired === undefined) {
        this.#node = undefined
        break
      }
      await this.#context.driver.remove(node.record.cacheId)
      await rm(this.#retired, { recursive: true, force: true })
      await this.#context.unflushed.forget([node.record.chainId])
      this.#removed.push(node.record)
      this.#node = node.parent
      this.#dropped = false
      this.#retired = undefined
    }
    return this.#removed
  }
}

/**
 * Takes the record of an unneeded layer out of sight.
 *
 * @returns where it is now; `undefined` if the layer stays
 */
function retire(context: StoreContext, node: LayerNode): Promise<string | undefined> {
  const { graph, layerdb, records } = context
  const { chainId, cacheId } = node.record
  return records.exclusively(chainId, async () => {
    if (context.readOnly || context.closed || node.references > 0 || !graph.has(node)) return undefined
    if (node.holds > 0) {
      node.condemned = true
      return undefined
    }
    const directory = layerDirectory(layerdb, chainId)
    const retired = `${directory}-${randomBytes(32).toString('hex')}${removingSuffix}`
    // Another process may have deleted the layer, or deleted and registered it again: that one is not ours to take.
    if ((await readRecordFile(directory, 'cache-id')) === cacheId) await moved(context, directory, retired)
    graph.delete(node)
    return retired
  })
}

async function moved(context: StoreContext, directory: string, retired: string): Promise<void> {
  try {
    await rename(directory, retired)
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return
    throw error
  }
  await settle(context, context.layerdb.layers)
}

/** Ends the hold of a call under way, and deletes the layer if its last reference went in the meantime. */
export async function unhold(context: StoreContext, node: LayerNode): Promise<void> {
  node.holds -= 1
  if (!node.condemned || node.holds > 0 || node.references > 0) return
  node.condemned = false
  try {
    await new Removal(context, node, true).run()
  } catch {
    // Not the business of the call that held the layer, and nothing is lost: `collect` removes what is left.
  }
}
