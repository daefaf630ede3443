/** A process to be killed: copies and removes layers under the root it is given, a dot for each step. */
import { writeSync } from 'node:fs'
import { parseLayerId, randomLayerId } from '@graphdriver/core'
import vfs from '../dist/index.js'

const root = process.argv[2] ?? ''
await using driver = await vfs.open({ root, home: `${root}/vfs`, options: {} })
for (let round = 0; ; round++) {
  const child = randomLayerId()
  writeSync(1, '.')
  await driver.create(child, { parent: parseLayerId('base') })
  if (round % 2 === 1) continue
  writeSync(1, '.')
  await driver.remove(child)
}
