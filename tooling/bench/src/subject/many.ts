/** Listing a store with many layers: `many.ts ROOT COUNT`; the layers are made first if they are not there. */
import { hostOf } from '@graphdriver/core'
import { openLayerStore } from '@graphdriver/layer-store'
import overlay2 from '@graphdriver/overlay2'
import { smallFiles } from '../works/contents.ts'
import { tell } from './result.ts'

const [root = '', count = '0'] = process.argv.slice(2)
await using driver = await overlay2.open(hostOf(overlay2, { root }))
if (count !== '0') {
  await using store = await openLayerStore({ root, driver, durability: 'fast' })
  for (let made = 0; made < Number(count);) {
    // Side by side: what is measured is not how they came.
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        const tar = smallFiles(1)
        await store.register(once(Buffer.concat([tar, Buffer.from(String(made++))])), undefined)
      }),
    )
  }
}
const start = performance.now()
await using store = await openLayerStore({ root, driver, readOnly: true })
const found = store.layers().length
tell({ wall: [performance.now() - start], layers: [found] })

async function* once(chunk: Uint8Array): AsyncGenerator<Uint8Array> {
  yield chunk
}
