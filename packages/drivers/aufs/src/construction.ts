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
import { asLayerId, type CallOptions, GraphDriverError, type LayerId } from '@graphdriver/core'
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
import { homePaths, layerExists, layerNotFound, type LayerPaths, layerPaths, readParents } from './layout.ts'

export interface Construction extends CallOptions {
  readonly home: string
  readonly id: LayerId
  readonly parent: LayerId | undefined
  readonly maxDepth: number
  /** Makes of the parent what a child can stand on. */
  readonly commit: (parent: LayerId) => Promise<void>
}

/** @throws GD_LAYER_NOT_FOUND (the parent), GD_LAYER_EXISTS, GD_MAX_DEPTH */
export async function makeLayer(construction: Construction, workers: TreeWorkers): Promise<void> {
  const { home, id, parent, signal } = construction
  signal?.throwIfAborted()
  // Said before the parent is marked; taking the name says it for certain.
  if (layerExists(home, id)) throw alreadyThere(id)
  const parents = parent === undefined ? [] : parentsOf(construction, parent)
  using scratch = makeScratch(homePaths(home).diffs, 'layer', 0o755)
  const orphans: Scratch[] = []
  try {
    if (parent !== undefined) {
      inheritRoot(home, parent, scratch.path)
      await construction.commit(parent)
    }
    orphans.push(...takeNames(home, id, parents, scratch.path))
  } catch (error) {
    // What cannot be removed now is reaped when the home is opened again; the first error says more.
    await workers.remove(scratch.path).catch(() => undefined)
    throw error
  }
  await discardLayers(orphans, workers).catch(() => undefined)
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
function takeNames(home: string, id: LayerId, parents: readonly LayerId[], made: string): readonly Scratch[] {
  const paths = layerPaths(home, id)
  using _ = holdDirectory(homePaths(home).records)
  if (existsSync(paths.record)) throw alreadyThere(id)
  const [parent] = parents
  if (parent !== undefined && !layerExists(home, parent)) throw layerNotFound(parent)
  const orphans = hideNames(paths)
  renameSync(made, paths.diff)
  ensureDirectory(paths.mount, 0o755)
  ensureDirectory(paths.own, 0o700)
  ensureDirectory(paths.work, 0o700)
  writeRecord(paths, parents)
  return orphans
}

function hideNames({ diff, own, form }: LayerPaths): readonly Scratch[] {
  const hidden = [moveToScratch(diff, 'layer'), moveToScratch(own, 'layer')]
  rmSync(form, { force: true })
  return hidden.filter((scratch) => scratch !== undefined)
}

/** An empty file after a power failure would make it a base layer. */
function writeRecord({ record, own }: LayerPaths, parents: readonly LayerId[]): void {
  const written = path.join(own, 'record')
  const fd = openSync(written, 'w', 0o644)
  try {
    writeSync(fd, parents.map((parent) => `${parent}\n`).join(''))
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  renameSync(written, record)
}

function alreadyThere(id: LayerId): GraphDriverError<'GD_LAYER_EXISTS'> {
  return new GraphDriverError('GD_LAYER_EXISTS', `aufs already holds a layer ${id}`, { id })
}

/** Takes a layer out of sight at once. @returns what is left for `discardLayers` */
export function hideLayer(home: string, id: LayerId): readonly Scratch[] {
  const paths = layerPaths(home, id)
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
  workers: TreeWorkers,
  options?: CallOptions,
): Promise<void> {
  try {
    for (const { path: directory } of hidden) {
      unmountTree(directory)
      await workers.remove(directory, options)
    }
  } finally {
    for (const scratch of hidden) scratch[Symbol.dispose]()
  }
}

/** Deletes what processes left that died while making or deleting layers. @returns whether nothing is left */
export async function reapLayers(home: string, workers: TreeWorkers): Promise<boolean> {
  hideOrphans(home)
  const { diffs, own } = homePaths(home)
  let clean = true
  for (const directory of [diffs, own])
    clean =
      (await reapScratch(directory, 'layer', (abandoned) => discardLayers([abandoned], workers))) && clean
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
