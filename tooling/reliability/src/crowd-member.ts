/**
 * `node crowd-member.ts DRIVER ROOT SECONDS SEED INPUTS JOURNAL`: one of many processes on one store. It makes, mounts, commits and
 * removes writable layers of its own, loads and deletes an image that the others also do, and looks at what there is. What has
 * returned is in its journal, a JSON line each.
 */
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { argv } from 'node:process'
import { hostOf, isGraphDriverError } from '@graphdriver/core'
import { dockerInitLayer } from '@graphdriver/layer-store'
import { baseName, imageName, type Inputs } from './inputs.ts'
import { load } from './operation.ts'
import { randomOf } from './random.ts'
import { definitionOf, openStores, type OpenStores } from './root.ts'

/** A line of the journal. */
export type Deed =
  | { readonly kind: 'made' | 'removed'; readonly name: string }
  | { readonly kind: 'wrote'; readonly name: string; readonly content: string }
  | { readonly kind: 'committed' | 'loaded' | 'deleted' }
  /** Milliseconds that it took to read what there is, and that it waited to change something. */
  | { readonly kind: 'read' | 'waited'; readonly milliseconds: number }

const [driverName = '', root = '', seconds = '', seed = '', given = '', journal = ''] = argv.slice(2)
const inputs = JSON.parse(given) as Inputs
const random = randomOf(seed)
const definition = definitionOf(driverName)
await using driver = await definition.open(hostOf(definition, { root }))

function note(deed: Deed): void {
  appendFileSync(journal, `${JSON.stringify(deed)}\n`)
}

async function changing<T>(action: (stores: OpenStores) => Promise<T>): Promise<T> {
  const begin = performance.now()
  await using stores = await openStores(driver, root, 'exclusive')
  note({ kind: 'waited', milliseconds: performance.now() - begin })
  return await action(stores)
}

/** Of this process, and what was last written to each. */
const own = new Map<string, string>()
let count = 0

async function make(): Promise<void> {
  const name = `c-${process.pid}-${count++}`
  await changing(async ({ layers, images, references }) => {
    const { chainId } = await images.find(baseName, references)
    await layers.createRWLayer(name, chainId, { init: dockerInitLayer })
  })
  own.set(name, '')
  note({ kind: 'made', name })
}

async function write(name: string): Promise<void> {
  await using stores = await openStores(driver, root, 'none')
  const writable = await stores.layers.getRWLayer(name)
  await using mount = await writable.mount()
  const before = own.get(name)
  if (before !== '' && readFileSync(path.join(mount.path, 'own'), 'utf8') !== before)
    throw new Error(`${name} has lost what was written to it`)
  const content = `${name} ${random()}`
  writeFileSync(path.join(mount.path, 'own'), content)
  own.set(name, content)
  note({ kind: 'wrote', name, content })
}

async function commit(name: string): Promise<void> {
  await changing(async ({ layers }) => {
    const writable = await layers.getRWLayer(name)
    // Nobody holds it: releasing deletes it.
    await using layer = await writable.commit()
    void layer
  })
  note({ kind: 'committed' })
}

async function remove(name: string): Promise<void> {
  // Whether it is done when the process dies, nobody knows.
  own.delete(name)
  note({ kind: 'removed', name })
  await changing(async ({ layers }) => {
    await (await layers.getRWLayer(name)).release()
  })
}

async function shareImage(): Promise<void> {
  await changing(async (stores) => {
    const { images, references } = stores
    const id = references.resolve(imageName)
    if (id === undefined) {
      await load(stores, inputs.image)
      note({ kind: 'loaded' })
      return
    }
    await references.untag(imageName)
    await images.delete(id)
    note({ kind: 'deleted' })
  })
}

async function look(): Promise<void> {
  const begin = performance.now()
  await using stores = await openStores(driver, root, 'none')
  if (stores.references.resolve(baseName) === undefined) throw new Error('the base image is gone')
  note({ kind: 'read', milliseconds: performance.now() - begin })
}

for (const end = performance.now() + Number(seconds) * 1000; performance.now() < end;) {
  const names = [...own.keys()]
  const chosen = names[Math.floor(random() * names.length)]
  const turn = random()
  try {
    if (turn < 0.15) await shareImage()
    else if (turn < 0.35) await look()
    else if (chosen === undefined || (turn < 0.5 && names.length < 4)) await make()
    else if (turn < 0.75) await write(chosen)
    else if (turn < 0.85) await commit(chosen)
    else await remove(chosen)
  } catch (error) {
    // Another one has just deleted it.
    if (!isGraphDriverError(error, 'GD_IMAGE_NOT_FOUND')) throw error
  }
}
