/** A process that mounts every layer with a parent under the root it is given, once it is told to. */
import { once } from 'node:events'
import { hostOf } from '@graphdriver/core'
import overlay2 from '../dist/index.js'

const root = process.argv[2] ?? ''
await using driver = await overlay2.open(hostOf(overlay2, { root }))
const layers = await Array.fromAsync(driver.layers())
process.stdout.write('ready\n')
await once(process.stdin, 'data')
for (const layer of layers) await driver.get(layer)
process.stdin.destroy()
