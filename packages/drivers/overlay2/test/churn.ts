/** A process to be killed: makes, mounts and removes layers under the root it is given until then. */
import { randomLayerId } from '@graphdriver/core'
import overlay2 from '../dist/index.js'

const root = process.argv[2] ?? ''
await using driver = await overlay2.open({ root, home: `${root}/overlay2`, options: {} })
for (let round = 0; ; round++) {
  const base = randomLayerId()
  const child = randomLayerId()
  await driver.create(base)
  await driver.create(child, { parent: base })
  await driver.get(child)
  if (round === 0) process.stdout.write('started\n')
  if (round % 2 === 0) {
    await driver.remove(child)
    await driver.remove(base)
  }
}
