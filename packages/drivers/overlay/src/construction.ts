/**
 * Making and deleting layers so that a process may die anywhere in between: what is called by an id got that name by one
 * rename when it was whole, and loses it by one.
 */
import { chmod, mkdir, open, writeFile } from 'node:fs/promises'
import { copyDirectoryAttributes, type TreeWorkers } from '@graphdriver/archive'
import { type CallOptions, GraphDriverError, type LayerId } from '@graphdriver/core'
import {
  isSystemError,
  makeScratch,
  moveToScratch,
  reapScratch,
  type Scratch,
  takeName,
  unmountTree,
} from '@graphdriver/sys'
import type { OverlayHost } from '@graphdriver/sys/overlayfs'
import { layerExists, layerNotFound, layerPaths, pathsIn, readForm } from './layout.ts'

export interface Construction extends CallOptions {
  readonly home: string
  readonly host: OverlayHost
  readonly id: LayerId
  readonly parent: LayerId | undefined
}

/** @throws GD_LAYER_NOT_FOUND (the parent), GD_LAYER_EXISTS */
export async function makeLayer(construction: Construction, workers: TreeWorkers): Promise<void> {
  const { home, id, parent, signal } = construction
  signal?.throwIfAborted()
  if (layerExists(home, id)) throw alreadyThere(id)
  using scratch = makeScratch(home, 'layer', 0o710)
  try {
    if (parent === undefined) await makeDirectory(pathsIn(scratch.path).root, 0o755)
    else await startOn(construction, parent, scratch.path, workers)
    if (!takeName(scratch.path, layerPaths(home, id).directory)) throw alreadyThere(id)
  } catch (error) {
    // What cannot be removed now is reaped when the home is opened again; the first error says more.
    await workers.remove(scratch.path).catch(() => undefined)
    throw error
  }
}

async function startOn(
  { home, host, signal }: Construction,
  parent: LayerId,
  directory: string,
  workers: TreeWorkers,
): Promise<void> {
  const form = await readForm(home, parent)
  const [above, own] = [layerPaths(home, parent), pathsIn(directory)]
  await makeDirectory(own.upper, 0o755)
  await makeDirectory(own.work, 0o700)
  await writeDurably(own.lowerId, form.kind === 'tree' ? parent : form.lower)
  try {
    if (form.kind === 'tree') {
      copyDirectoryAttributes(above.root, own.upper)
      await writeFile(above.committed, '', { flag: 'a', mode: 0o600 })
    } else await workers.copy(above.upper, own.upper, { overlayXattrs: host.xattr, signal })
  } catch (error) {
    if (isSystemError(error, 'ENOENT') && !layerExists(home, parent)) throw layerNotFound(parent)
    throw error
  }
}

/** The umask does not apply to `mode`. */
async function makeDirectory(directory: string, mode: number): Promise<void> {
  await mkdir(directory, { mode })
  await chmod(directory, mode)
}

/** An empty file after a power failure would make the layer unreadable. */
async function writeDurably(file: string, content: string): Promise<void> {
  await using handle = await open(file, 'wx', 0o600)
  await handle.writeFile(content)
  await handle.sync()
}

function alreadyThere(id: LayerId): GraphDriverError<'GD_LAYER_EXISTS'> {
  return new GraphDriverError('GD_LAYER_EXISTS', `overlay already holds a layer ${id}`, { id })
}

/** Takes a layer out of sight at once. @returns what is left for `discardLayer`, if anything */
export function hideLayer(home: string, id: LayerId): Scratch | undefined {
  return moveToScratch(layerPaths(home, id).directory, 'layer')
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
  return reapScratch(home, 'layer', (abandoned) => discardLayer(abandoned, workers))
}
