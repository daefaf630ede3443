/** Making and deleting layers so that a process may die anywhere in between. */
import type { TreeWorkers } from '@graphdriver/archive'
import { type CallOptions, GraphDriverError, type LayerId } from '@graphdriver/core'
import {
  makeScratch,
  moveToScratch,
  reapScratch,
  type Scratch,
  takeName,
  unmountTree,
} from '@graphdriver/sys'
import { findLayer, layerDirectory, layerExists, layersDirectory } from './layout.ts'

export interface Construction extends CallOptions {
  readonly home: string
  readonly id: LayerId
  readonly parent: LayerId | undefined
}

/** @throws GD_LAYER_NOT_FOUND (the parent), GD_LAYER_EXISTS */
export async function makeLayer(construction: Construction, workers: TreeWorkers): Promise<void> {
  const { home, id, parent, signal } = construction
  signal?.throwIfAborted()
  const source = parent === undefined ? undefined : findLayer(home, parent)
  // Said before the copy is made; taking the name says it for certain.
  if (layerExists(home, id)) throw alreadyThere(id)
  using scratch = makeScratch(layersDirectory(home), 'layer', 0o755)
  try {
    if (source !== undefined) await workers.copy(source, scratch.path, { signal })
    if (!takeName(scratch.path, layerDirectory(home, id))) throw alreadyThere(id)
  } catch (error) {
    // What cannot be removed now is reaped when the home is opened again; the first error says more.
    await workers.remove(scratch.path).catch(() => undefined)
    throw error
  }
}

function alreadyThere(id: LayerId): GraphDriverError<'GD_LAYER_EXISTS'> {
  return new GraphDriverError('GD_LAYER_EXISTS', `vfs already holds a layer ${id}`, { id })
}

/** Takes a layer out of sight at once. @returns what is left for `discardLayer`, if anything */
export function hideLayer(home: string, id: LayerId): Scratch | undefined {
  return moveToScratch(layerDirectory(home, id), 'layer')
}

/** Unmounts all that is mounted in a hidden layer, then deletes it. Repeating it after a failure is safe. */
export async function discardLayer(
  hidden: Scratch,
  workers: TreeWorkers,
  options?: CallOptions,
): Promise<void> {
  using held = hidden
  unmountTree(held.path)
  await workers.remove(held.path, options)
}

/** Deletes what processes left that died while making or deleting layers. @returns whether nothing is left */
export function reapLayers(home: string, workers: TreeWorkers): Promise<boolean> {
  return reapScratch(layersDirectory(home), 'layer', (abandoned) => discardLayer(abandoned, workers))
}
