import { type LayerId, type LayerStore, parseChainId } from '@graphdriver/core'

/** What the driver calls a layer. */
export function driverLayer(store: LayerStore, chain: string): LayerId {
  const wanted = parseChainId(chain)
  const found = store.layers().find(({ chainId }) => chainId === wanted)
  if (found === undefined) throw new Error(`${store.directory} has no layer ${chain}`)
  return found.cacheId
}
