import { type ChainId, type DiffId, chainIdOf, isGraphDriverError, parseDiffId } from '@graphdriver/core'
import type { LabImage, LabLayer } from '@tooling/lab'
import { firstDifference } from './byte-comparison.ts'
import type { OpenStore } from './open-store.ts'

/** The name of a stack of layers, base first. */
export function chainOf(layers: readonly LabLayer[]): ChainId {
  const diffs: readonly DiffId[] = layers.map(({ diffId }) => parseDiffId(diffId))
  const chain = chainIdOf(diffs)
  if (chain === undefined) throw new Error('a stack has one layer at least')
  return chain
}

async function returned(store: OpenStore, chain: ChainId, original: LabLayer): Promise<string> {
  await using layer = await store.layers.get(chain)
  if (layer.diffId !== original.diffId) return `it has the DiffID ${layer.diffId}`
  return (await firstDifference(layer.tar(), original.path)) ?? 'the same bytes'
}

/** For every layer of an image, base first: `the same bytes` as were loaded, or in what they differ, or the error's code. */
export async function returnedLayers(store: OpenStore, image: LabImage): Promise<readonly string[]> {
  const outcomes: string[] = []
  for (const [index, original] of image.layers.entries()) {
    const chain = chainOf(image.layers.slice(0, index + 1))
    const outcome = await returned(store, chain, original).catch((error: unknown) => {
      if (isGraphDriverError(error)) return error.code
      throw error
    })
    outcomes.push(outcome)
  }
  return outcomes
}
