/** Image layers that no image has and no container stands on: those of a load that was killed before its image was there. */
import type { LayerRecord } from '@graphdriver/core'
import { isSharedWithBuildKit } from '@graphdriver/layer-store'
import type { Stores } from './stores.ts'
import { stacksOf } from './subject.ts'

/**
 * Topmost first. None where somebody may need them who cannot be read: an image or a container whose record is damaged or gone,
 * and BuildKit in dockerd.
 */
export async function unneededLayers(root: string, stores: Stores): Promise<readonly LayerRecord[]> {
  const { layers, images, references } = stores
  const known = new Set<string>(images.list().map(({ id }) => id))
  const isWhole =
    layers.skipped.length === 0 &&
    images.skipped.length === 0 &&
    references.list().every(({ id }) => known.has(id))
  if (!isWhole || (await isSharedWithBuildKit(root))) return []
  const all = layers.layers()
  const needed = new Set(
    [...images.list().map(({ chainId }) => chainId), ...layers.writableLayers().map(({ parent }) => parent)]
      .flatMap(stacksOf(all))
      .map(({ chainId }) => chainId),
  )
  return all.filter(({ chainId }) => !needed.has(chainId)).toReversed()
}

/** Deletes them. Only while no other process writes to the store. */
export async function dropUnneeded(unneeded: readonly LayerRecord[], { layers }: Stores): Promise<void> {
  for (const { chainId } of unneeded) {
    // With the one above go those below that only it needed.
    if (layers.has(chainId)) await (await layers.get(chainId)).release()
  }
}
