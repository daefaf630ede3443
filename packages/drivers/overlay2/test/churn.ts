/** A process to be killed: makes, mounts and removes layers under the root it is given, a dot for each step. */
import { writeSync } from 'node:fs'
import { randomLayerId } from '@graphdriver/core'
import overlay2 from '../dist/index.js'

const root = process.argv[2] ?? ''
await using driver = await overlay2.open({ root, home: `${root}/overlay2`, options: {} })
for (let round = 0; ; round++) {
  const base = randomLayerId()
  const child = randomLayerId()
  const steps = [
    () => driver.create(base),
    () => driver.create(child, { parent: base }),
    () => driver.get(child),
    ...(round % 2 === 0 ? [() => driver.remove(child), () => driver.remove(base)] : []),
  ]
  for (const step of steps) {
    writeSync(1, '.')
    await step()
  }
}
