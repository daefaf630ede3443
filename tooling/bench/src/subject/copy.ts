/** A child of a layer of vfs: `copy.ts ROOT TAR`; the layer is made first if it is not there. */
import { createReadStream } from 'node:fs'
import { hostOf, parseLayerId, randomLayerId } from '@graphdriver/core'
import vfs from '@graphdriver/vfs'
import { tell } from './result.ts'

const [root = '', tar = ''] = process.argv.slice(2)
await using driver = await vfs.open(hostOf(vfs, { root }))
const image = parseLayerId('image')
if (!(await driver.exists(image))) {
  await driver.create(image)
  await driver.applyDiff(image, undefined, createReadStream(tar, { highWaterMark: 1024 * 1024 }))
}
const made = randomLayerId()
const start = performance.now()
await driver.createReadWrite(made, { parent: image })
tell({ wall: [performance.now() - start] })
