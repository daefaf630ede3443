/** Makes and deletes layers so that a process may die anywhere in between. */
import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import { type DiscardOptions, removeBehind, type TreeWorkers } from '@graphdriver/archive'
import { type CallOptions, GraphDriverError, type LayerId, type Quota } from '@graphdriver/core'
import type { LayerQuota } from '@graphdriver/quota'
import {
  holdDirectory,
  isSystemError,
  makeScratch,
  moveToScratch,
  reapScratch,
  type Scratch,
  takeName,
  unmountTree,
} from '@graphdriver/sys'
import {
  imageOf,
  layerDirectory,
  layerExists,
  layersDirectory,
  volumeOf,
  volumesDirectory,
} from './layout.ts'

export interface Construction extends CallOptions {
  /** The driver's name, for errors. */
  readonly driver: string
  readonly home: string
  readonly id: LayerId
  /** The tree to start as a copy of, visible. */
  readonly source: string | undefined
  /** What the layer may hold; undefined for as much as there is. */
  readonly quota: Quota | undefined
}

/** What one driver makes and deletes layers with. */
export interface Tools {
  readonly workers: TreeWorkers
  readonly limits: LayerQuota
}

/** @throws GD_LAYER_EXISTS */
export async function makeLayer(construction: Construction, tools: Tools): Promise<void> {
  const { driver, home, id } = construction
  // Said before the copy is made; taking the name says it for certain.
  if (layerExists(home, id)) throw alreadyThere(driver, id)
  using scratch = makeScratch(layersDirectory(home), 'layer', 0o755)
  try {
    await fill(construction, scratch.path, tools)
    if (!takeNames(home, scratch.path, layerDirectory(home, id))) throw alreadyThere(driver, id)
  } catch (error) {
    // What cannot be removed now is reaped when the home is opened again; the first error says more.
    await remove(scratch.path, tools).catch(() => undefined)
    throw error
  }
}

async function fill(
  { id, source, quota, signal }: Construction,
  directory: string,
  { workers, limits }: Tools,
): Promise<void> {
  await using room = quota === undefined ? undefined : await limits.start(id, directory, quota)
  room?.enter(directory)
  if (source !== undefined) await workers.copy(source, directory, { signal })
}

/** A layer and its volume, if it has one, change their names together. @returns false when the name is taken */
function takeNames(home: string, made: string, target: string): boolean {
  using _ = holdDirectory(volumesDirectory(home))
  if (!takeName(made, target)) return false
  moveVolume(made, target)
  return true
}

function moveVolume(from: string, to: string): void {
  try {
    renameSync(imageOf(from), imageOf(to))
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error
  }
}

function alreadyThere(driver: string, id: LayerId): GraphDriverError<'GD_LAYER_EXISTS'> {
  return new GraphDriverError('GD_LAYER_EXISTS', `${driver} already holds a layer ${id}`, { id })
}

/** Takes a layer out of sight at once. @returns what is left for `discardLayer`, if anything */
export function hideLayer(home: string, id: LayerId): Scratch | undefined {
  const directory = layerDirectory(home, id)
  using _ = holdDirectory(volumesDirectory(home))
  // A mount point cannot be renamed.
  if (volumeOf(directory).exists()) unmountTree(directory)
  const hidden = moveToScratch(directory, 'layer')
  if (hidden !== undefined) moveVolume(directory, hidden.path)
  return hidden
}

/** Unmounts all that is mounted in a hidden layer, then deletes it. Repeating it after a failure is safe. */
export async function discardLayer(
  hidden: Scratch,
  { workers, limits }: Tools,
  options: DiscardOptions = {},
): Promise<void> {
  await removeBehind(hidden, workers, options, async (remove) => {
    unmountTree(hidden.path)
    await ending(hidden.path, limits, remove)
  })
}

async function remove(directory: string, { workers, limits }: Tools): Promise<void> {
  unmountTree(directory)
  await ending(directory, limits, () => workers.remove(directory))
}

async function ending(directory: string, limits: LayerQuota, remove: () => Promise<void>): Promise<void> {
  await limits.ending(directory, remove)
  rmSync(imageOf(directory), { force: true })
}

/** Deletes what processes left that died while making or deleting layers. @returns whether nothing is left */
export async function reapLayers(home: string, tools: Tools): Promise<boolean> {
  const clean = await reapScratch(layersDirectory(home), 'layer', (abandoned) =>
    discardLayer(abandoned, tools),
  )
  reapImages(home)
  return clean
}

/** Of layers that are no more. */
function reapImages(home: string): void {
  const directory = volumesDirectory(home)
  using _ = holdDirectory(directory)
  for (const name of readdirSync(directory)) {
    const layer = path.join(layersDirectory(home), path.parse(name).name)
    if (!existsSync(layer)) rmSync(path.join(directory, name), { force: true })
  }
}
