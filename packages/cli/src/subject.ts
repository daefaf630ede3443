/** What a word on the command line names: an image, a writable layer, or an image layer. */
import { GraphDriverError, isGraphDriverError, type LayerRecord, type WritableLayer } from '@graphdriver/core'
import type { Image } from '@graphdriver/image'
import type { Stores } from './stores.ts'

export type Subject =
  | { readonly kind: 'image'; readonly image: Image }
  | { readonly kind: 'writable'; readonly writable: WritableLayer }
  | { readonly kind: 'layer'; readonly layer: LayerRecord }

/** A writable layer by its name, an image by name or id, a layer by ChainID or DiffID or how one of them begins. */
export async function findSubject(word: string, stores: Stores): Promise<Subject> {
  const writable = await findWritable(word, stores)
  if (writable !== undefined) return { kind: 'writable', writable }
  const image = await findImage(word, stores)
  if (image !== undefined) return { kind: 'image', image }
  const layer = findLayer(word, stores.layers.layers())
  if (layer !== undefined) return { kind: 'layer', layer }
  throw new GraphDriverError(
    'GD_IMAGE_NOT_FOUND',
    `'${word}' is no image, writable layer or layer here; see: graphdriver images, graphdriver layers`,
    { reference: word },
  )
}

export async function findWritable(word: string, stores: Stores): Promise<WritableLayer | undefined> {
  return stores.layers.writableLayers().some(({ name }) => name === word)
    ? stores.layers.getRWLayer(word)
    : undefined
}

export async function findImage(word: string, stores: Stores): Promise<Image | undefined> {
  try {
    return await stores.images.find(word, stores.references)
  } catch (error) {
    if (isGraphDriverError(error, 'GD_IMAGE_NOT_FOUND')) return undefined
    throw error
  }
}

/** The base first. */
export function stackOf(top: string | undefined, layers: readonly LayerRecord[]): readonly LayerRecord[] {
  return stacksOf(layers)(top)
}

/** The same for many: all layers are gone through once. */
export function stacksOf(
  layers: readonly LayerRecord[],
): (top: string | undefined) => readonly LayerRecord[] {
  const byChain = new Map<string, LayerRecord>(layers.map((layer) => [layer.chainId, layer]))
  return (top) => {
    const stack: LayerRecord[] = []
    for (let at = top; at !== undefined; at = byChain.get(at)?.parent) {
      const layer = byChain.get(at)
      if (layer !== undefined) stack.unshift(layer)
    }
    return stack
  }
}

function findLayer(word: string, layers: readonly LayerRecord[]): LayerRecord | undefined {
  const prefix = word.startsWith('sha256:') ? word : `sha256:${word}`
  if (!/^sha256:[0-9a-f]{6,64}$/.test(prefix)) return undefined
  const byChain = layers.filter((layer) => layer.chainId.startsWith(prefix))
  // One DiffID may stand on several stacks; its tar is the same in all.
  const byDiff = layers.filter((layer) => layer.diffId.startsWith(prefix))
  const found = byChain.length > 0 ? byChain : byDiff
  if (new Set(found.map((layer) => (byChain.length > 0 ? layer.chainId : layer.diffId))).size > 1) {
    const ids = found.map((layer) => layer.chainId)
    throw new GraphDriverError(
      'GD_IMAGE_AMBIGUOUS',
      `'${word}' is the beginning of ${ids.length} layer ids; write more digits`,
      { reference: word, ids },
    )
  }
  return found[0]
}
