/**
 * Making and deleting layers so that a process may die anywhere in between. A layer is there exactly as long as its
 * record is: that is written last and deleted first. What has no record is what somebody left who died, and goes when
 * its id is wanted again or the home is opened.
 *
 * Names are given and taken under a lock, in a few system calls.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import path from 'node:path'
import { copyDirectoryAttributes, type TreeWorkers } from '@graphdriver/archive'
import { asLayerId, type CallOptions, GraphDriverError, type LayerId, type Quota } from '@graphdriver/core'
import type { LayerQuota } from '@graphdriver/quota'
import {
  ensureDirectory,
  holdDirectory,
  isSystemError,
  makeScratch,
  moveToScratch,
  reapScratch,
  type Scratch,
  unmountTree,
} from '@graphdriver/sys'
import {
  homePaths,
  inVolume,
  layerExists,
  layerNotFound,
  type LayerPaths,
  layerPaths,
  ownPaths,
  readParents,
  readVolumes,
  volumeOf,
} from './layout.ts'

/** What one driver makes and deletes layers with. */
export interface Tools {
  readonly workers: TreeWorkers
  readonly limits: LayerQuota
}

export interface Construction extends CallOptions {
  readonly home: string
  readonly id: LayerId
  readonly parent: LayerId | undefined
  readonly maxDepth: number
  /** What the layer may hold; undefined for as much as there is. */
  readonly quota: Quota | undefined
  /** Makes of the parent what a child can stand on. */
  readonly commit: (parent: LayerId) => Promise<void>
}

/** @throws GD_LAYER_NOT_FOUND (the parent), GD_LAYER_EXISTS, GD_MAX_DEPTH */
export async function makeLayer(construction: Construction, tools: Tools): Promise<void> {
  const { home, id, parent, signal } = construction
  signal?.throwIfAborted()
  // Said before the parent is marked; taking the name says it for certain.
  if (layerExists(home, id)) throw alreadyThere(id)
  const parents = parent === undefined ? [] : parentsOf(construction, parent)
  using diff = makeScratch(homePaths(home).diffs, 'layer', 0o755)
  using own = makeScratch(homePaths(home).own, 'layer', 0o700)
  const made = { diff: diff.path, own: own.path }
  let orphans: readonly Scratch[]
  try {
    await fill(construction, parents, made, tools)
    if (parent !== undefined) await construction.commit(parent)
    orphans = takeNames(home, id, parents, made)
    // From now on they are the layer's, and whoever removes it locks them.
    for (const scratch of [diff, own]) scratch[Symbol.dispose]()
  } catch (error) {
    // What cannot be removed now is reaped when the home is opened again; the first error says more.
    await discardLayers([diff, own], tools).catch(() => undefined)
    throw error
  }
  await discardLayers(orphans, tools).catch(() => undefined)
}

/** The directories that are to be a layer's. */
interface Made {
  readonly diff: string
  readonly own: string
}

async function fill(
  { home, id, parent, quota }: Construction,
  parents: readonly LayerId[],
  made: Made,
  { limits }: Tools,
): Promise<void> {
  const paths = ownPaths(made.own)
  const volumes = parent === undefined ? [] : [...readVolumes(home, parent)]
  {
    await using room = quota === undefined ? undefined : await limits.start(id, made.own, quota)
    const { diff, work } = { diff: made.diff, work: paths.work, ...inVolume(made.own) }
    ensureDirectory(diff, 0o755)
    ensureDirectory(work, 0o700)
    ensureDirectory(paths.lock, 0o700)
    for (const counted of [diff, work]) room?.enter(counted)
    if (parent !== undefined) inheritRoot(home, parent, diff)
  }
  if (volumeOf(made.own).exists()) volumes.unshift(id)
  if (volumes.length > 0) writeDurably(paths.volumes, volumes)
  writeDurably(recordIn(made.own), parents)
}

function parentsOf({ home, id, maxDepth }: Construction, parent: LayerId): readonly LayerId[] {
  const parents = [parent, ...readParents(home, parent)]
  const depth = parents.length + 1
  if (depth <= maxDepth) return parents
  throw new GraphDriverError(
    'GD_MAX_DEPTH',
    `layer ${id} would be the ${depth}th of its stack, and aufs mounts at most ${maxDepth}; ` +
      'flatten the layers below it into one',
    { id, depth, limit: maxDepth },
  )
}

/** A stack shows the root directory of the topmost layer, so that has to be as the parent's is. */
function inheritRoot(home: string, parent: LayerId, diff: string): void {
  try {
    copyDirectoryAttributes(layerPaths(home, parent).diff, diff)
  } catch (error) {
    if (isSystemError(error, 'ENOENT') && !layerExists(home, parent)) throw layerNotFound(parent)
    throw error
  }
}

/** @returns what was left under these names by somebody who died */
function takeNames(home: string, id: LayerId, [parent]: readonly LayerId[], made: Made): readonly Scratch[] {
  const paths = namesOf(home, id)
  using _ = holdDirectory(homePaths(home).records)
  if (existsSync(paths.record)) throw alreadyThere(id)
  if (parent !== undefined && !layerExists(home, parent)) throw layerNotFound(parent)
  const orphans = hideNames(paths)
  renameSync(made.diff, paths.diff)
  renameSync(made.own, paths.own)
  ensureDirectory(paths.mount, 0o755)
  renameSync(recordIn(paths.own), paths.record)
  return orphans
}

/** What of a layer has its id; its volume, if it has one, lies in one of these. */
function namesOf(home: string, id: LayerId): Pick<LayerPaths, 'record' | 'diff' | 'mount' | 'form' | 'own'> {
  return { ...layerPaths(home, id), diff: path.join(homePaths(home).diffs, id) }
}

function recordIn(own: string): string {
  return path.join(own, 'record')
}

function hideNames({ diff, own, form }: Pick<LayerPaths, 'diff' | 'own' | 'form'>): readonly Scratch[] {
  const hidden = [moveToScratch(diff, 'layer'), moveToScratch(own, 'layer')]
  rmSync(form, { force: true })
  return hidden.filter((scratch) => scratch !== undefined)
}

/** An empty record after a power failure would make it a base layer's. */
function writeDurably(file: string, ids: readonly LayerId[]): void {
  const fd = openSync(file, 'wx', 0o644)
  try {
    writeSync(fd, ids.map((id) => `${id}\n`).join(''))
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

function alreadyThere(id: LayerId): GraphDriverError<'GD_LAYER_EXISTS'> {
  return new GraphDriverError('GD_LAYER_EXISTS', `aufs already holds a layer ${id}`, { id })
}

/** Takes a layer out of sight at once. @returns what is left for `discardLayers` */
export function hideLayer(home: string, id: LayerId): readonly Scratch[] {
  const paths = namesOf(home, id)
  using _ = holdDirectory(homePaths(home).records)
  rmSync(paths.record, { force: true })
  if (existsSync(paths.mount)) {
    unmountTree(paths.mount)
    rmSync(paths.mount, { recursive: true, force: true })
  }
  return hideNames(paths)
}

/** Unmounts all that is mounted in hidden directories, then deletes them. Repeating it after a failure is safe. */
export async function discardLayers(
  hidden: readonly Scratch[],
  { workers, limits }: Tools,
  options?: CallOptions,
): Promise<void> {
  try {
    for (const { path: directory } of hidden) {
      unmountTree(directory)
      await limits.ending(directory, () => workers.remove(directory, options), directory)
    }
  } finally {
    for (const scratch of hidden) scratch[Symbol.dispose]()
  }
}

/** Deletes what processes left that died while making or deleting layers. @returns whether nothing is left */
export async function reapLayers(home: string, tools: Tools): Promise<boolean> {
  hideOrphans(home)
  const { diffs, own } = homePaths(home)
  let clean = true
  for (const directory of [diffs, own])
    clean = (await reapScratch(directory, 'layer', (abandoned) => discardLayers([abandoned], tools))) && clean
  return clean
}

/** Whatever has a layer's name but no record, and what Docker was deleting. */
function hideOrphans(home: string): void {
  const { records, diffs, mounts, forms, own } = homePaths(home)
  using _ = holdDirectory(records)
  const known = new Set<string>(readdirSync(records))
  for (const directory of [diffs, own]) {
    for (const name of readdirSync(directory)) {
      if (!known.has(name) && isLayerName(name))
        moveToScratch(path.join(directory, name), 'layer')?.[Symbol.dispose]()
    }
  }
  for (const name of readdirSync(mounts)) {
    if (known.has(name) || !isLayerName(name)) continue
    unmountTree(path.join(mounts, name))
    rmSync(path.join(mounts, name), { recursive: true, force: true })
  }
  for (const name of readdirSync(forms)) if (!known.has(name)) rmSync(path.join(forms, name), { force: true })
}

function isLayerName(name: string): boolean {
  return asLayerId(name) !== undefined
}
