/** The diff of a small change on a large image: `difference.ts ROOT TAR native|naive ROUNDS`. */
import { appendFileSync, createReadStream, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { naiveDiff, TreeWorkers } from '@graphdriver/archive'
import { hostOf, parseLayerId } from '@graphdriver/core'
import overlay2 from '@graphdriver/overlay2'
import { tell } from './result.ts'

const [root = '', tar = '', how = 'native', rounds = '1'] = process.argv.slice(2)
await using driver = await overlay2.open(hostOf(overlay2, { root }))
await using workers = new TreeWorkers()
const [image, container] = [parseLayerId('image'), parseLayerId('container')]
if (!(await driver.exists(container))) {
  await driver.create(image)
  await driver.applyDiff(image, undefined, createReadStream(tar, { highWaterMark: 1024 * 1024 }))
  await driver.createReadWrite(container, { parent: image })
  await using layer = await driver.get(container)
  smallChange(layer.path)
}
const differ = how === 'native' ? driver : naiveDiff(driver, workers)
const wall: number[] = []
for (let round = 0; round < Number(rounds); round++) {
  const start = performance.now()
  await differ.changes(container, image)
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
