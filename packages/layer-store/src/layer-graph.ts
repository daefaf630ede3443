import type { ChainId, LayerRecord } from '@graphdriver/core'
import type { StoredLayer } from './layer-record.ts'

/**
 * One image layer of an open store, and who needs it.
 *
 * `references` are those that last: held `Layer`s, layers on top, writable layers on top. When the last of them is
 * released the layer is deleted. `holds` are taken by calls under way; they only keep a deletion from happening now.
 */
export interface LayerNode {
  readonly record: LayerRecord
  readonly parent: LayerNode | undefined
  references: number
  holds: number
  /** A deletion found the layer held; whoever lets go last is to see to it. */
  condemned: boolean
}

/** The image layers of an open store, each after its parent. */
export class LayerGraph {
  readonly #nodes = new Map<ChainId, LayerNode>()
  #revision = 0

  /** Another number after each change. */
  get revision(): number {
    return this.#revision
  }

  get(chainId: ChainId): LayerNode | undefined {
    return this.#nodes.get(chainId)
  }

  /** Adds a layer that nobody needs yet, and which from now on needs its parent. */
  add(stored: StoredLayer, parent: LayerNode | undefined): LayerNode {
    const record: LayerRecord = Object.freeze({
      ...stored,
      size: (parent?.record.size ?? 0) + stored.diffSize,
      depth: (parent?.record.depth ?? 0) + 1,
    })
    const node: LayerNode = { record, parent, references: 0, holds: 0, condemned: false }
    if (parent !== undefined) retain(parent)
    this.#nodes.set(record.chainId, node)
    this.#revision += 1
    return node
  }

  /** Takes a layer off the list whose record is gone. It needs its parent until its data is gone too. */
  delete(node: LayerNode): void {
    if (!this.has(node)) return
    this.#nodes.delete(node.record.chainId)
    this.#revision += 1
  }

  /** Takes a layer off the list that another process deleted, data and all. */
  forget(node: LayerNode): void {
    if (!this.has(node)) return
    this.delete(node)
    if (node.parent !== undefined) node.parent.references -= 1
  }

  has(node: LayerNode): boolean {
    return this.#nodes.get(node.record.chainId) === node
  }

  nodes(): Iterable<LayerNode> {
    return this.#nodes.values()
  }

  records(): readonly LayerRecord[] {
    return Array.from(this.nodes(), (node) => node.record)
  }
}

/** Takes a lasting reference. */
export function retain(node: LayerNode): void {
  node.references += 1
  node.condemned = false
}
