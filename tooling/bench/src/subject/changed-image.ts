/** A container that touched thirty files of a large image. */
import { appendFileSync, createReadStream, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type Driver, type DriverDefinition, hostOf, parseLayerId } from '@graphdriver/core'

const [image, container] = [parseLayerId('image'), parseLayerId('container')]

/**
 * How long it takes to tell its changes, in milliseconds, each time. Image and container are made where they are not.
 *
 * @param tar the image's only layer
 */
export async function timesOfChanges(
  definition: DriverDefinition,
  root: string,
  tar: string,
  rounds: number,
): Promise<readonly number[]> {
  await using driver = await definition.open(hostOf(definition, { root }))
  if (!(await driver.exists(container))) await makeContainer(driver, tar)
  const wall: number[] = []
  for (let round = 0; round < rounds; round++) {
    const start = performance.now()
    await driver.changes(container, image)
    wall.push(performance.now() - start)
  }
  return wall
}

async function makeContainer(driver: Driver, tar: string): Promise<void> {
  await driver.create(image)
  await driver.applyDiff(image, undefined, createReadStream(tar, { highWaterMark: 1024 * 1024 }))
  await driver.createReadWrite(container, { parent: image })
  await using layer = await driver.get(container)
  smallChange(layer.path)
}

/** Ten files of each kind of change. */
function smallChange(at: string): void {
  mkdirSync(path.join(at, 'new'))
  for (let number = 0; number < 10; number++) {
    writeFileSync(path.join(at, 'new', `f${number}`), 'new')
    appendFileSync(path.join(at, `d${number}`, `f${number * 100}`), 'more')
    rmSync(path.join(at, `d${number + 20}`, `f${(number + 20) * 100}`))
  }
}
