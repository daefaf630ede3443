/** One layer's tar into overlay2: `unpack.ts ROOT TAR apply|register`. */
import { createReadStream } from 'node:fs'
import { hostOf, parseLayerId } from '@graphdriver/core'
import { openLayerStore } from '@graphdriver/layer-store'
import overlay2 from '@graphdriver/overlay2'
import { tell } from './result.ts'

const [root = '', tar = '', how = 'apply'] = process.argv.slice(2)
await using driver = await overlay2.open(hostOf(overlay2, { root }))
await using store = await openLayerStore({ root, driver, durability: 'fast' })
const start = performance.now()
const stream = createReadStream(tar, { highWaterMark: 1024 * 1024 })
if (how === 'register') await store.register(stream, undefined)
else {
  const id = parseLayerId('layer')
  await driver.create(id)
  await driver.applyDiff(id, undefined, stream)
}
tell({ wall: [performance.now() - start] })
