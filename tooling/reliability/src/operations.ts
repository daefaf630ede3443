/** What is done to a store, and cut short: each from a state that `prepare` makes, on a store that has the base image. */
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { randomLayerId } from '@graphdriver/core'
import { baseName, imageName, osOf } from './inputs.ts'
import { migration } from './migration.ts'
import {
  chainOf,
  containerName,
  createContainer,
  load,
  type LoneOperation,
  openSource,
  type Operation,
  writeInto,
} from './operation.ts'

const otherName = 'base:renamed'

export const operations: readonly (Operation | LoneOperation)[] = [
  {
    name: 'load',
    title: 'load an image',
    run: (root, { image }) => load(root, image),
  },
  {
    name: 'register',
    title: 'register a layer',
    async run(root, { image }) {
      await using source = await openSource(image, root.driver.name)
      const [first] = await source.images()
      const layer = first?.layers[1]
      if (layer === undefined) throw new Error(`${image} has no second layer`)
      await root.layers.register(layer.open(), await chainOf(root, baseName), { diffId: layer.diffId })
    },
  },
  {
    name: 'create',
    title: 'create a writable layer',
    run: createContainer,
  },
  {
    name: 'remove',
    title: 'remove a writable layer',
    async prepare(root) {
      await createContainer(root)
      await writeInto(root)
    },
    async run({ layers }) {
      const [left] = layers.writableLayers()
      if (left !== undefined) await (await layers.getRWLayer(left.name)).release()
    },
  },
  {
    name: 'mount',
    title: 'mount a writable layer, write, unmount',
    prepare: createContainer,
    run: writeInto,
  },
  {
    name: 'commit',
    title: 'commit a writable layer',
    // Files of Windows have the time of their making, so that each tar of them is another.
    isFor: (os) => os === 'linux',
    async prepare(root) {
      await createContainer(root)
      await writeInto(root)
    },
    async run({ layers }) {
      const writable = await layers.getRWLayer(containerName)
      await writable.commit()
    },
  },
  {
    name: 'rename',
    title: 'give an image another name, and take the first one',
    async run({ references }) {
      const id = references.resolve(baseName) ?? references.resolve(otherName)
      if (id === undefined) throw new Error(`neither ${baseName} nor ${otherName} is there`)
      await references.tag(otherName, id)
      if (references.resolve(baseName) !== undefined) await references.untag(baseName)
    },
  },
  {
    name: 'delete',
    title: 'delete an image with its layers',
    prepare: (root, { image }) => load(root, image),
    async run({ images, references }) {
      const id = references.resolve(imageName)
      if (id === undefined) {
        // The name is gone already.
        for (const { id: other } of images.list())
          if (references.namesOf(other).length === 0) await images.delete(other)
        return
      }
      await references.untag(imageName)
      await images.delete(id)
    },
  },
  {
    name: 'gc',
    title: 'collect what killed processes left',
    async prepare({ driver, layers }) {
      const base = layers.layers()[0]
      const stray = randomLayerId()
      await driver.create(stray, { parent: base?.cacheId })
      await driver.create(randomLayerId(), { parent: stray })
      const unfinished = path.join(layers.directory, 'tmp', 'write-set-00')
      mkdirSync(unfinished, { recursive: true })
      writeFileSync(path.join(unfinished, 'cache-id'), stray)
    },
    async run({ layers }) {
      await layers.collect()
    },
  },
  migration,
]

export function operationNamed(name: string): Operation | LoneOperation {
  const found = operations.find((operation) => operation.name === name)
  if (found !== undefined) return found
  throw new Error(`no operation '${name}'; there are ${operations.map((one) => one.name).join(', ')}`)
}

export function operationsOf(driver: string): readonly (Operation | LoneOperation)[] {
  return operations.filter((operation) => operation.isFor?.(osOf(driver)) ?? true)
}
