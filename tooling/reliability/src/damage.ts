/** Every kind of file of a store is damaged in turn: it has to be found, and what can be had again has to come back. */
import { lstatSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type ChainId, type DiffId, isGraphDriverError, type StackedLayer } from '@graphdriver/core'
import { layerOpeners, openImageSource } from '@graphdriver/image'
import { imageName, type Inputs } from './inputs.ts'
import { containerName, createContainer, load, writeInto } from './operation.ts'
import { placeFor } from './place.ts'
import type { DamageRow } from './report.ts'
import { type OpenRoot, openRoot } from './root.ts'
import { damagesOf, stateOf } from './state.ts'

type Harm = 'emptied' | 'changed' | 'deleted'
const harms: readonly Harm[] = ['emptied', 'changed', 'deleted']

export interface DamageRequest {
  readonly driver: string
  readonly onProblem: (what: string) => void
}

export async function runDamages({ driver, onProblem }: DamageRequest): Promise<DamageRow> {
  await using place = await placeFor(driver)
  const row = { driver, kinds: 0, damages: 0, found: 0, repaired: 0, bad: 0 }
  let number = 0
  const fresh = async (): Promise<string> => {
    const root = await place.directory(`root${number++}`)
    await fill(driver, root, place.inputs)
    return root
  }
  const kinds = kindsIn(await fresh())
  row.kinds = kinds.length
  for (const kind of kinds) {
    for (const harm of harms) {
      const root = await fresh()
      const file = fileOf(root, kind)
      if (file === undefined || (harm !== 'deleted' && lstatSync(file).size === 0)) continue
      row.damages += 1
      doHarm(file, harm)
      const problem = await judge(driver, root, place.inputs, kind, harm, row)
      if (problem === undefined) continue
      row.bad += 1
      onProblem(`${driver}, ${kind} ${harm}: ${problem}`)
    }
  }
  return row
}

async function fill(driver: string, root: string, inputs: Inputs): Promise<void> {
  await using opened = await openRoot(driver, root)
  await load(opened, inputs.base)
  await load(opened, inputs.image)
  await createContainer(opened)
  await writeInto(opened)
}

/** Names that are made at random, or are digests, are all the same, but for those of the container's own layer. */
function kindOf(root: string, file: string, container: string): string {
  return path
    .relative(root, file)
    .replaceAll(container, '@')
    .replaceAll(/[0-9a-f]{64}/g, '#')
    .replaceAll(/\b[A-Z2-7]{26}\b/g, '#')
}

/** The driver's name for what the container writes to. */
function containerIn(root: string): string {
  const [file = ''] = regularFiles(path.join(root, 'image')).filter((one) => one.endsWith('/mount-id'))
  return readFileSync(file, 'utf8')
}

/** Links are not followed: what they lead to is there by its own name. */
function regularFiles(directory: string): readonly string[] {
  return readdirSync(directory, { withFileTypes: true })
    .flatMap((entry) => {
      const file = path.join(directory, entry.name)
      return entry.isDirectory() ? regularFiles(file) : entry.isFile() ? [file] : []
    })
    .toSorted()
}

function kindsIn(root: string): readonly string[] {
  const container = containerIn(root)
  return [...new Set(regularFiles(root).map((file) => kindOf(root, file, container)))].toSorted()
}

/** The first by its name. */
function fileOf(root: string, kind: string): string | undefined {
  const container = containerIn(root)
  return regularFiles(root).find((file) => kindOf(root, file, container) === kind)
}

function doHarm(file: string, harm: Harm): void {
  if (harm === 'deleted') rmSync(file)
  else if (harm === 'emptied') truncateSync(file)
  else {
    const bytes = readFileSync(file)
    const at = Math.floor(bytes.length / 2)
    bytes[at] = (bytes[at] ?? 0) ^ 1
    // In place, as a disk does it: links to it see it too.
    writeFileSync(file, bytes)
  }
}

/** What no check could know, or needs to: locks, what mends itself or only speeds things up, what a container has written. */
function isNobodys(kind: string): boolean {
  return (
    kind.startsWith('.graphdriver/') ||
    kind.includes('/.graphdriver-volumes/') ||
    /^overlay2\/[#@](?:-init)?\/(?:link|lower|committed)$/.test(kind) ||
    kind.endsWith('/.graphdriver-committed') ||
    /[@]/.test(kind)
  )
}

/** What a container has is told where it can be, and cannot be had again. */
function isForGood(kind: string): boolean {
  return /\/layerdb\/mounts\/|@/.test(kind)
}

/** What could as well be meant: no names, no image below, another size to show. */
function isUnknowable(kind: string, harm: Harm): boolean {
  if (kind.endsWith('/repositories.json')) return harm === 'deleted'
  if (kind.endsWith('/mounts/container/parent')) return harm === 'deleted'
  return kind.endsWith('/layerdb/sha256/#/size') && harm === 'changed'
}

/** @returns what is wrong */
async function judge(
  driver: string,
  root: string,
  inputs: Inputs,
  name: string,
  harm: Harm,
  row: { found: number; repaired: number },
): Promise<string | undefined> {
  const found = await findings(driver, root)
  if (found.length > 0) row.found += 1
  else if (!isNobodys(name) && !isUnknowable(name, harm) && !(await isCopy(driver, root, name)))
    return 'it was not found'
  if (isForGood(name)) return undefined
  await bringBack(driver, root, inputs, found)
  const left = await findings(driver, root)
  if (left.length > 0) return `it was not brought back: ${left.slice(0, 3).join('; ')}`
  const missing = await whatIsMissing(driver, root, inputs)
  if (missing !== undefined) return missing
  row.repaired += 1
  return undefined
}

/** What a copying driver has in a layer that is not the layer's own is looked at where it is. */
async function isCopy(driver: string, root: string, name: string): Promise<boolean> {
  await using opened = await openRoot(driver, root)
  return opened.driver.capabilities.sharing !== 'files' && name.startsWith(`${driver}/`)
}

async function findings(driver: string, root: string): Promise<readonly string[]> {
  try {
    await using opened = await openRoot(driver, root)
    const known = new Set(opened.images.list().map(({ id }) => id))
    const nameless = opened.references
      .list()
      .filter(({ id }) => !known.has(id))
      .map(({ name }) => `name ${name} has no image`)
    return [...(await damagesOf(opened)), ...nameless, ...(known.size < 2 ? ['an image is gone'] : [])]
  } catch (error) {
    if (!isGraphDriverError(error, 'GD_STORE_CORRUPT')) throw error
    return [error.message]
  }
}

/** As an operator would: repair, and what is left is loaded again. */
async function bringBack(
  driver: string,
  root: string,
  inputs: Inputs,
  found: readonly string[],
): Promise<void> {
  if (found.some((line) => line.includes('repositories.json')))
    rmSync(path.join(root, 'image', driver, 'repositories.json'))
  const openers = new Map<DiffId, StackedLayer['open']>()
  await using source = await openImageSource(inputs.image)
  for (const [diffId, open] of await layerOpeners(source)) openers.set(diffId, open)
  {
    await using opened = await openRoot(driver, root)
    const damaged = await damagedLayers(opened)
    if (damaged.length > 0)
      await opened.layers.repair({
        damaged,
        source: (diffId) => openers.get(diffId),
        requireUnused: () => Promise.resolve(),
      })
  }
  await using opened = await openRoot(driver, root)
  await load(opened, inputs.base)
  await load(opened, inputs.image)
}

async function damagedLayers({ layers }: OpenRoot): Promise<readonly ChainId[]> {
  const found = [
    ...(await Array.fromAsync(layers.checkRecords())),
    ...(await Array.fromAsync(layers.checkContents())),
  ]
  return [...new Set(found.flatMap(({ kind, layer }) => (kind === 'damage' ? (layer ?? []) : [])))]
}

/** Every image with its name, every layer by its DiffID, and what the container has written. */
async function whatIsMissing(driver: string, root: string, inputs: Inputs): Promise<string | undefined> {
  await using opened = await openRoot(driver, root)
  const { visible } = stateOf(opened)
  await using source = await openImageSource(inputs.image)
  const [image] = await source.images()
  if (opened.references.resolve(imageName) !== image?.id)
    return `${imageName} is not what it was: ${visible.join(', ')}`
  const have = new Set(opened.layers.layers().map(({ diffId }) => diffId))
  const lost = image?.layers.find(({ diffId }) => !have.has(diffId))
  if (lost !== undefined) return `layer ${lost.diffId} is gone`
  const writable = await opened.layers.getRWLayer(containerName)
  const changes = (await writable.changes()).map(({ path: changed }) => String(changed))
  return changes.some((changed) => changed.endsWith('own'))
    ? undefined
    : `the container has lost its work: ${changes.join(', ')}`
}
