/**
 * Many writable layers on one image, each with a small file in it: `thousand.ts ROOT CHAIN COUNT`. They stay until all
 * are there, and go then.
 */
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { hostOf, type LayerId, randomLayerId } from '@graphdriver/core'
import { openLayerStore } from '@graphdriver/layer-store'
import overlay2 from '@graphdriver/overlay2'
import { statfs, syncFilesystem } from '@graphdriver/sys'
import { statisticOf } from '../statistics.ts'
import { driverLayer } from './layer.ts'
import { residentMiB, tell } from './result.ts'

const [root = '', chain = '', words = '1000'] = process.argv.slice(2)
const count = Number(words)
await using driver = await overlay2.open(hostOf(overlay2, { root }))
await using store = await openLayerStore({ root, driver, readOnly: true })
const parent = driverLayer(store, chain)

const usedBytes = (): number => {
  syncFilesystem(root)
  const { blocks, blocksFree, blockSize } = statfs(root)
  return Number(blocks - blocksFree) * blockSize
}

const ids: LayerId[] = []
const times: number[] = []
const before = usedBytes()
let early = 0
for (let at = 0; at < count; at++) {
  const start = performance.now()
  const id = randomLayerId()
  await driver.createReadWrite(id, { parent })
  await using layer = await driver.get(id)
  writeFileSync(path.join(layer.path, 'own'), id)
  ids.push(id)
  times.push(performance.now() - start)
  if (at === count / 10) early = residentMiB()
}
const grown = residentMiB() - early
const disk = (usedBytes() - before) / 1024 / count
const tenth = count / 10
const slope =
  statisticOf('median', times.slice(-tenth)) / statisticOf('median', times.slice(tenth, 2 * tenth))
const removal = performance.now()
for (const id of ids) await driver.remove(id)
tell({
  wall: times,
  slope: [slope],
  disk: [disk],
  memory: [grown],
  removal: [(performance.now() - removal) / count],
})
