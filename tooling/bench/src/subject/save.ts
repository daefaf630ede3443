/** All layers of an image as the tars that they came as: `save.ts ROOT CHAIN`. */
import { hostOf, type LayerRecord, parseChainId } from '@graphdriver/core'
import { openLayerStore } from '@graphdriver/layer-store'
import overlay2 from '@graphdriver/overlay2'
import { tell } from './result.ts'

const [root = '', chain = ''] = process.argv.slice(2)
await using driver = await overlay2.open(hostOf(overlay2, { root }))
await using store = await openLayerStore({ root, driver, readOnly: true })
const records = new Map(store.layers().map((record) => [record.chainId, record]))
const start = performance.now()
let bytes = 0
for (
  let at: LayerRecord | undefined = records.get(parseChainId(chain));
  at !== undefined;
  at = at.parent === undefined ? undefined : records.get(at.parent)
) {
  await using layer = await store.get(at.chainId)
  for await (const chunk of layer.tar()) bytes += chunk.length
}
const seconds = (performance.now() - start) / 1000
tell({ perMiB: [(seconds * 1000) / (bytes / 1024 ** 2)] })
