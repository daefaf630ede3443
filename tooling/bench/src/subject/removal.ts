/** How long a call keeps its caller that removes a large layer: `removal.ts ROOT TAR`. */
import { createReadStream } from 'node:fs'
import { hostOf, parseLayerId } from '@graphdriver/core'
import overlay2 from '@graphdriver/overlay2'
import { tell } from './result.ts'

const [root = '', tar = ''] = process.argv.slice(2)
await using driver = await overlay2.open(hostOf(overlay2, { root }))
const id = parseLayerId('large')
await driver.create(id)
await driver.applyDiff(id, undefined, createReadStream(tar, { highWaterMark: 1024 * 1024 }))
const start = performance.now()
await driver.remove(id)
tell({ wall: [performance.now() - start] })
