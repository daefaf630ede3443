/** What is done to a store, and cut short: each from a state that `prepare` makes, on a store that has the base image. */
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type ChainId, randomLayerId } from '@graphdriver/core'
import { loadImages, openImageSource } from '@graphdriver/image'
import { dockerInitLayer } from '@graphdriver/layer-store'
import { baseName, imageName, type Inputs } from './inputs.ts'
import { migration } from './migration.ts'
import type { OpenRoot, OpenStores } from './root.ts'

export interface Operation {
  readonly name: string
  readonly title: string
  /** Makes what it begins with. */
  readonly prepare?: (root: OpenRoot, inputs: Inputs) => Promise<void>
  /** May be done again when it is not known whether it was done. */
  readonly run: (root: OpenRoot, inputs: Inputs) => Promise<void>
}

/** One that opens the root itself, and makes something beside what the driver holds, which stays as it was. */
export interface LoneOperation {
  readonly name: string
  readonly title: string
  readonly prepare?: Operation['prepare']
  readonly alone: (driver: string, root: string) => Promise<void>
  readonly isDone: (driver: string, root: string) => Promise<boolean>
  /** @returns what is wrong with what it made */
  readonly verify: (driver: string, root: string) => Promise<readonly string[]>
  readonly undo: (driver: string, root: string) => Promise<void>
}

/** The writable layer of all operations. */
export const containerName = 'container'
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
      await using source = await openImageSource(image)
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

export async function load({ layers, images, references }: OpenStores, archive: string): Promise<void> {
  await using source = await openImageSource(archive)
  await loadImages(source, { layers, images, references })
}

async function chainOf({ images, references }: OpenRoot, name: string): Promise<ChainId | undefined> {
  return (await images.find(name, references)).chainId
}

export async function createContainer(root: OpenRoot): Promise<void> {
  if (root.layers.writableLayers().length > 0) return
  await root.layers.createRWLayer(containerName, await chainOf(root, baseName), { init: dockerInitLayer })
}

/** A new file, and a changed one. None is deleted: in a tar that has the time of its making, so that none would be like another. */
export async function writeInto({ layers }: OpenRoot): Promise<void> {
  const writable = await layers.getRWLayer(containerName)
  await using mount = await writable.mount()
  writeFileSync(path.join(mount.path, 'own'), 'own')
  writeFileSync(path.join(mount.path, 'etc/passwd'), 'nobody\n')
  for (const name of ['own', 'etc/passwd', 'etc', '.']) utimesSync(path.join(mount.path, name), 1e9, 1e9)
}
