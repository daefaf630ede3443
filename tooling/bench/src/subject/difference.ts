/** What a small change of a large image is: `difference.ts ROOT TAR DRIVER ROUNDS`. */
import { appendFileSync, createReadStream, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type DriverDefinition, hostOf, parseLayerId } from '@graphdriver/core'
import overlay2 from '@graphdriver/overlay2'
import vfs from '@graphdriver/vfs'
import { tell } from './result.ts'

const [root = '', tar = '', name = 'overlay2', rounds = '1'] = process.argv.slice(2)
const definition: DriverDefinition = name === 'vfs' ? vfs : overlay2
await using driver = await definition.open(hostOf(definition, { root }))
const [image, container] = [parseLayerId('image'), parseLayerId('container')]
if (!(await driver.exists(container))) {
  await driver.create(image)
  await driver.applyDiff(image, undefined, createReadStream(tar, { highWaterMark: 1024 * 1024 }))
  await driver.createReadWrite(container, { parent: image })
  await using layer = await driver.get(container)
  smallChange(layer.path)
}
const wall: number[] = []
for (let round = 0; round < Number(rounds); round++) {
  const start = performance.now()
  await driver.changes(container, image)
  wall.push(performance.now() - start)
}
tell({ wall })

/** Ten files of each kind of change. */
function smallChange(at: string): void {
  mkdirSync(path.join(at, 'new'))
  for (let number = 0; number < 10; number++) {
    writeFileSync(path.join(at, 'new', `f${number}`), 'new')
    appendFileSync(path.join(at, `d${number}`, `f${number * 100}`), 'more')
    rmSync(path.join(at, `d${number + 20}`, `f${(number + 20) * 100}`))
  }
}
