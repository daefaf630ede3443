/** What stands on what: layers as a forest, each once. */
import type { LayerRecord } from '@graphdriver/core'
import { formatBytes, shortDigest } from './quantity.ts'
import type { Stores } from './stores.ts'

/** One layer, with what stands on it. */
export interface TreeNode {
  readonly chainId: string
  readonly diffId: string
  /** Bytes of the layer alone. */
  readonly bytes: number
  /** Of how many images it is a part. */
  readonly sharedBy: number
  /** Names of the images that end here; ids of those without. */
  readonly images: readonly string[]
  readonly writable: readonly string[]
  readonly above: readonly TreeNode[]
}

export function forest({ layers, images, references }: Stores): readonly TreeNode[] {
  const records = layers.layers()
  const above = Map.groupBy(records, ({ parent }) => parent)
  const ending = Map.groupBy(images.list(), ({ chainId }) => chainId)
  const writable = Map.groupBy(layers.writableLayers(), ({ parent }) => parent)
  const grow = (record: LayerRecord): TreeNode => {
    const { chainId, diffId, diffSize } = record
    const children = (above.get(chainId) ?? []).map(grow)
    const here = ending.get(chainId) ?? []
    return {
      chainId,
      diffId,
      bytes: diffSize,
      sharedBy: here.length + children.reduce((total, child) => total + child.sharedBy, 0),
      images: here.flatMap(({ id }) => {
        const names = references.namesOf(id)
        return names.length === 0 ? [shortDigest(id)] : names
      }),
      writable: (writable.get(chainId) ?? []).map(({ name }) => name),
      above: children,
    }
  }
  return (above.get(undefined) ?? []).map(grow)
}

/** What is said of a layer: `6c79c27fb4a4  4.74 kB  of 2 images  busybox:latest  [web]`. */
export function labelOf({ diffId, bytes, sharedBy, images, writable }: TreeNode): string {
  return [
    shortDigest(diffId),
    formatBytes(bytes),
    ...(sharedBy > 1 ? [`of ${sharedBy} images`] : []),
    ...images,
    ...writable.map((name) => `[${name}]`),
  ].join('  ')
}
