import { type CallOptions, type ChainId, GraphDriverError } from '@graphdriver/core'
import { checkContents } from './check-contents.ts'
import type { LayerNode } from './layer-graph.ts'
import type { StoreContext } from './store-context.ts'

/**
 * Reads the layers of a stack whose data may not have survived a power cut, before they are used; once for each.
 *
 * @param top nothing for an empty stack
 * @throws GD_LAYER_CORRUPT for the first that is not what was registered
 */
export async function verifyStack(
  context: StoreContext,
  top: LayerNode | undefined,
  options: CallOptions,
): Promise<void> {
  const suspects: ChainId[] = []
  for (let node = top; node !== undefined; node = node.parent)
    if (context.unflushed.isSuspect(node.record.chainId)) suspects.push(node.record.chainId)
  for (const layer of suspects.toReversed()) {
    for await (const { expected, found, file, remedy } of checkContents(context, {
      layers: [layer],
      signal: options.signal,
    })) {
      const what = file === undefined ? '' : `${file}: `
      const message = `layer ${layer} did not survive a power cut: ${what}expected ${expected}, found ${found}; ${remedy}`
      throw new GraphDriverError('GD_LAYER_CORRUPT', message, { id: layer, path: file })
    }
    if (!context.readOnly) await context.unflushed.forget([layer])
  }
}

/**
 * Sees to it that the records of layers do not survive a power cut that their data did not: flushes what was written so far, or
 * notes that nobody did.
 *
 * @param places on all filesystems that have to be flushed
 */
export async function settleData(
  context: StoreContext,
  layers: readonly ChainId[],
  places: readonly string[],
): Promise<void> {
  const { durability, filesystem, unflushed } = context
  if (durability !== 'safe') {
    await unflushed.note(layers, durability !== 'volatile')
    return
  }
  const earlier = unflushed.ofThisBoot()
  for (const place of places) await filesystem.run(place)
  await unflushed.forget([...earlier, ...layers])
}
