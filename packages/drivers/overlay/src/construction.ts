/**
 * Making and deleting layers so that a process may die anywhere in between: what is called by an id got that name by one
 * rename when it was whole, and loses it by one.
 */
import { chmod, mkdir, open, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { copyDirectoryAttributes, type TreeWorkers } from '@graphdriver/archive'
import { type CallOptions, GraphDriverError, type LayerId, type Quota } from '@graphdriver/core'
import type { LayerQuota, Room } from '@graphdriver/quota'
import {
  isSystemError,
  makeScratch,
  moveToScratch,
  reapScratch,
  type Scratch,
  takeName,
} from '@graphdriver/sys'
import type { OverlayHost } from '@graphdriver/sys/overlayfs'
import { layerExists, layerNotFound, layerPaths, pathsIn, readForm } from './layout.ts'

export interface Construction extends CallOptions {
  readonly home: string
  readonly host: OverlayHost
  readonly id: LayerId
  readonly parent: LayerId | undefined
  /** What the layer may hold; undefined for as much as there is. */
  readonly quota: Quota | undefined
}

/** What one driver makes and deletes layers with. */
export interface Tools {
  readonly workers: TreeWorkers
  readonly limits: LayerQuota
}

/** @throws GD_LAYER_NOT_FOUND (the parent), GD_LAYER_EXISTS */
export async function makeLayer(construction: Construction, tools: Tools): Promise<void> {
  const { home, id, parent, quota, signal } = construction
  const { workers, limits } = tools
  signal?.throwIfAborted()
  if (layerExists(home, id)) throw alreadyThere(id)
  using scratch = makeScratch(home, 'layer', 0o710)
  try {
    if (parent === undefined && quota === undefined) await makeDirectory(pathsIn(scratch.path).root, 0o755)
    else await makeUpper(construction, scratch.path, tools)
    if (!takeName(scratch.path, layerPaths(home, id).directory)) throw alreadyThere(id)
  } catch (error) {
    // What cannot be removed now is reaped when the home is opened again; the first error says more.
    await limits.ending(scratch.path, () => workers.remove(scratch.path)).catch(() => undefined)
    throw error
  }
}

async function makeUpper(construction: Construction, directory: string, tools: Tools): Promise<void> {
  const { id, parent, quota } = construction
  const own = pathsIn(directory)
  await using room = quota === undefined ? undefined : await tools.limits.start(id, directory, quota)
  await makeDirectory(own.upper, 0o755, room)
  await makeDirectory(own.work, 0o700, room)
  if (parent === undefined) await makeDirectory(own.nothing, 0o755)
  else await startOn(construction, parent, directory, tools)
}

async function startOn(
  { home, host, signal }: Construction,
  parent: LayerId,
  directory: string,
  { workers, limits }: Tools,
): Promise<void> {
  const form = await readForm(home, parent)
  const [above, own] = [layerPaths(home, parent), pathsIn(directory)]
  const lower = form.kind === 'tree' ? parent : form.lower
  if (lower === undefined) await makeDirectory(own.nothing, 0o755)
  else await writeDurably(own.lowerId, lower)
  await using _ = await limits.open(above.directory)
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

/** The umask does not apply to `mode`. What counts for a limit is made where it is counted, and led to. */
async function makeDirectory(directory: string, mode: number, room?: Room): Promise<void> {
  const place = room === undefined ? directory : path.join(room.place, path.basename(directory))
  await mkdir(place, { mode })
  await chmod(place, mode)
  room?.enter(place)
  if (place !== directory) await symlink(path.relative(path.dirname(directory), place), directory)
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
  { workers, limits }: Tools,
  options?: CallOptions,
): Promise<void> {
  using held = hidden
  await limits.ending(held.path, () => workers.remove(held.path, { ...options, unmounts: true }))
}

/** Deletes what processes left that died while making or deleting layers. @returns whether nothing is left */
export function reapLayers(home: string, tools: Tools): Promise<boolean> {
  return reapScratch(home, 'layer', (abandoned) => discardLayer(abandoned, tools))
}
