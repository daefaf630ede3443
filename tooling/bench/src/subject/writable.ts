/**
 * Writable layers on an image that is loaded already: `writable.ts ROOT CHAIN COUNT AT-A-TIME`. Each is made, mounted,
 * unmounted and removed.
 */
import { hostOf, randomLayerId } from '@graphdriver/core'
import { openLayerStore } from '@graphdriver/layer-store'
import overlay2 from '@graphdriver/overlay2'
import { inTurns } from './in-turns.ts'
import { driverLayer } from './layer.ts'
import { tell } from './result.ts'

const [root = '', chain = '', count = '1', width = '1'] = process.argv.slice(2)
await using driver = await overlay2.open(hostOf(overlay2, { root }))
await using store = await openLayerStore({ root, driver, readOnly: true })
const parent = driverLayer(store, chain)

tell({
  wall: await inTurns(Number(count), Number(width), async () => {
    const id = randomLayerId()
    await driver.createReadWrite(id, { parent })
    await driver.get(id)
    await driver.put(id)
    await driver.remove(id)
  }),
})
