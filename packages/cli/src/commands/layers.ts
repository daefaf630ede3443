import type { LayerRecord } from '@graphdriver/core'
import type { HistoryEntry } from '@graphdriver/image'
import type { Invocation } from '../invocation.ts'
import { formatBytes, shortDigest } from '../quantity.ts'
import { Session } from '../session.ts'
import type { Stores } from '../stores.ts'
import { stackOf } from '../subject.ts'
import { table } from '../table.ts'
import { imageNotFound } from '../not-found.ts'

interface ListedLayer extends LayerRecord {
  /** The step of the image's history that left it, where one image is asked for. */
  readonly createdBy: string | undefined
}

/** `graphdriver layers [IMAGE]`: the stack of an image from the top down, or all layers. */
export async function layers(invocation: Invocation, word: string | undefined): Promise<void> {
  await using session = await Session.openExisting(invocation)
  if (session === undefined && word !== undefined) throw imageNotFound(word)
  const found = (await session?.reading((stores) => list(stores, word, invocation))) ?? []
  invocation.output.result({ driver: session?.driver.name, layers: found }, () => {
    const heads = [
      '#',
      'DIFF ID',
      'CHAIN ID',
      'SIZE',
      "DRIVER'S NAME",
      word === undefined ? 'ON' : 'CREATED BY',
    ]
    return table(
      heads,
      found.map((layer) => row(layer, word !== undefined)),
    )
  })
}

async function list(
  stores: Stores,
  word: string | undefined,
  { log }: Invocation,
): Promise<readonly ListedLayer[]> {
  for (const { reason } of stores.layers.skipped) log.warn(reason)
  const all = stores.layers.layers()
  if (word === undefined) return all.map((layer) => ({ ...layer, createdBy: undefined }))
  const image = await stores.images.find(word, stores.references)
  const steps = image.config.history.filter((step: HistoryEntry) => !step.empty_layer)
  return stackOf(image.chainId, all)
    .map((layer, at) => ({ ...layer, createdBy: steps[at]?.created_by }))
    .toReversed()
}

function row(layer: ListedLayer, ofImage: boolean): readonly string[] {
  const { depth, diffId, chainId, diffSize, cacheId, parent, createdBy } = layer
  const last = ofImage ? (createdBy ?? '') : parent === undefined ? '' : shortDigest(parent)
  return [
    String(depth),
    shortDigest(diffId),
    shortDigest(chainId),
    formatBytes(diffSize),
    cacheId.slice(0, 12),
    last.replaceAll(/\s+/g, ' ').slice(0, 60),
  ]
}
