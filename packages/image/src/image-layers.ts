import { type ChainId, type DiffId, nextChainId } from '@graphdriver/core'
import type { Image } from './image.ts'

/** The layers of an image, base first, under both of their names. */
export function layersOf({
  config,
}: Image): readonly { readonly diffId: DiffId; readonly chainId: ChainId }[] {
  let below: ChainId | undefined
  return config.rootfs.diff_ids.map((diffId) => {
    const chainId = nextChainId(below, diffId)
    below = chainId
    return { diffId, chainId }
  })
}
