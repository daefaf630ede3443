/** The life of one path, through the layers of a stack. */
import type { DeedEntry } from '@graphdriver/archive'
import { type CallOptions, type ChainId, GraphDriverError, type LayerRecord } from '@graphdriver/core'
import type { LayerNode } from './layer-graph.ts'
import { layerDeed } from './layer-tar.ts'
import type { StoreContext } from './store-context.ts'

/** What a layer does to a path that it does something to. */
export interface PathEvent {
  readonly layer: LayerRecord
  readonly kind: 'added' | 'changed' | 'replaced' | 'deleted'
  /** Of what is deleted or replaced: the name in the layer's tar that says so, such as `etc/.wh.motd`. */
  readonly by: string | undefined
  /** What is there from then on; `undefined` when it is deleted. */
  readonly entry: DeedEntry | undefined
}

/** @throws GD_LAYER_NOT_FOUND; GD_LAYER_CORRUPT for a layer whose recipe cannot be read */
export async function pathHistory(
  context: StoreContext,
  top: ChainId,
  file: string,
  options: CallOptions,
): Promise<readonly PathEvent[]> {
  const events: PathEvent[] = []
  let isThere = false
  for (const node of stackOf(context, top)) {
    options.signal?.throwIfAborted()
    const deed = await layerDeed(context, node, file, options)
    if (deed === undefined) return []
    const { entry, hiddenBy } = deed
    const wasThere: boolean = isThere
    isThere = entry !== undefined || (wasThere && hiddenBy === undefined)
    if (entry !== undefined) {
      const kind = !wasThere ? 'added' : hiddenBy === undefined ? 'changed' : 'replaced'
      events.push({ layer: node.record, kind, by: wasThere ? hiddenBy : undefined, entry })
    } else if (wasThere && hiddenBy !== undefined)
      events.push({ layer: node.record, kind: 'deleted', by: hiddenBy, entry })
  }
  return events
}

/** The base first. */
function stackOf({ graph }: StoreContext, top: ChainId): readonly LayerNode[] {
  const stack: LayerNode[] = []
  let node = graph.get(top)
  if (node === undefined) {
    const message = `layer ${top} is not in this store`
    throw new GraphDriverError('GD_LAYER_NOT_FOUND', message, { id: top })
  }
  for (; node !== undefined; node = node.parent) stack.unshift(node)
  return stack
}
