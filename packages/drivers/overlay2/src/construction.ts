/**
 * Making and deleting layers so that a process may die anywhere in between.
 *
 * A layer is made under a scratch name and gets its id by one rename: a directory that is called by an id is whole.
 * Its short link, which the scratch directory names too, is there just before, and who reaps the one removes the
 * other. Deleting is the same backwards: one rename, and the layer is gone.
 */
import { chmodSync, closeSync, existsSync, fsync, mkdirSync, openSync, symlinkSync, writeSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import {
  copyDirectoryAttributes,
  type DiscardOptions,
  removeBehind,
  type TreeWorkers,
} from '@graphdriver/archive'
import { GraphDriverError, type LayerId, type Quota } from '@graphdriver/core'
import type { LayerQuota, Room } from '@graphdriver/quota'
import {
  isSystemError,
  makeScratch,
  moveToScratch,
  reapScratch,
  type Scratch,
  takeName,
} from '@graphdriver/sys'
import { layerPaths, type LayerRecord, pathsIn, readVolumes, volumeOf } from './layout.ts'
import { readAndMend, shortNameOf } from './record.ts'
import { ensureLink, hasLink, randomLink, removeLink, repairLinks } from './links.ts'

/** The only call here that waits for the disk; all others are over before a thread of the pool would be awake. */
const flush = promisify(fsync)

/** What one driver makes and deletes layers with. */
export interface Tools {
  readonly workers: TreeWorkers
  readonly limits: LayerQuota
  /** The home's filesystem keeps names in order: what is in a layer's files need not be waited for; see `record.ts`. */
  readonly keepsOrder: boolean
}

export interface Construction {
  readonly home: string
  readonly id: LayerId
  readonly parent: LayerId | undefined
  readonly maxDepth: number
  /** What the layer may hold; undefined for as much as there is. */
  readonly quota: Quota | undefined
  readonly signal?: AbortSignal | undefined
}

/** @throws GD_LAYER_NOT_FOUND (the parent), GD_LAYER_EXISTS, GD_MAX_DEPTH */
export async function makeLayer(construction: Construction, tools: Tools): Promise<void> {
  const { home, id, parent } = construction
  refuseReserved(id)
  // Said before the parent is marked; taking the name says it for certain.
  if (existsSync(layerPaths(home, id).directory)) throw alreadyThere(id)
  const lower = parent === undefined ? [] : await lowerOf(construction, parent)
  await makeDirectoryOf(construction, { link: randomLink(), lower }, tools)
}

async function makeDirectoryOf(
  { home, id, parent, quota, signal }: Construction,
  record: LayerRecord,
  { workers, limits, keepsOrder }: Tools,
): Promise<void> {
  using scratch = makeScratch(home, 'layer', 0o710)
  try {
    const volumes = parent === undefined ? [] : [...(await readVolumes(home, parent))]
    {
      await using room = quota === undefined ? undefined : await limits.start(id, scratch.path, quota)
      await fill(scratch.path, record, room, !keepsOrder)
      if (parent !== undefined) inheritRoot(layerPaths(home, parent).diff, pathsIn(scratch.path).diff)
    }
    if (volumeOf(scratch.path).exists()) volumes.unshift(id)
    if (volumes.length > 0) await writeWhole(pathsIn(scratch.path).volumes, volumes.join('\n'), true)
    signal?.throwIfAborted()
    if (parent !== undefined) await markCommitted(home, parent)
    // Before the name: made after it, the link of a layer that is removed meanwhile would stay for ever.
    await ensureLink(home, id, record.link)
    if (!takeName(scratch.path, path.join(home, id))) throw alreadyThere(id)
  } catch (error) {
    // What cannot be removed now is reaped when the home is opened again; the first error says more.
    await removeLink(home, record.link).catch(() => undefined)
    await limits.ending(scratch.path, () => workers.remove(scratch.path)).catch(() => undefined)
    throw error
  }
}

async function lowerOf(construction: Construction, parent: LayerId): Promise<readonly string[]> {
  const { home, id, maxDepth } = construction
  const { link, lower } = await readAndMend(home, parent)
  const depth = lower.length + 2
  if (depth > maxDepth) {
    throw new GraphDriverError(
      'GD_MAX_DEPTH',
      `layer ${id} would be the ${depth}th of its stack, and overlay2 mounts at most ${maxDepth} here; ` +
        'flatten the layers below it into one',
      { id, depth, limit: maxDepth },
    )
  }
  // Its own link may be missing after a crash; all may be, after a backup that left them out.
  if (!(await hasLink(home, link))) await repairLinks(home)
  return [`l/${link}`, ...lower]
}

async function fill(
  directory: string,
  { link, lower }: LayerRecord,
  room: Room | undefined,
  isFlushed: boolean,
): Promise<void> {
  const paths = pathsIn(directory)
  makeDirectory(paths.diff, 0o755, room)
  // Whoever writes to a limited layer does so through overlayfs: past it, root has no limits on most filesystems.
  const mounted = lower.length > 0 || room !== undefined
  if (mounted) makeDirectory(paths.work, 0o700, room)
  if (mounted && lower.length === 0) makeDirectory(paths.nothing, 0o755)
  const [nearest] = lower
  if (nearest !== undefined) symlinkSync(`../${nearest}`, paths.parent)
  // Side by side: the filesystem writes its journal once for both. When one fails the other is not open any more.
  const written = await Promise.allSettled([
    writeWhole(paths.link, link, isFlushed),
    ...(lower.length === 0 ? [] : [writeWhole(paths.lower, lower.join(':'), isFlushed)]),
  ])
  for (const file of written) if (file.status === 'rejected') throw file.reason
}

/**
 * The root directory of a stack is the upper one alone: overlayfs does not merge its attributes. Docker gives every
 * layer the same, and a container sees another root than its image has.
 */
export function inheritRoot(parentDiff: string, diff: string): void {
  try {
    copyDirectoryAttributes(parentDiff, diff)
  } catch (error) {
    // The parent is gone meanwhile, which is said when it is marked.
    if (!isSystemError(error, 'ENOENT')) throw error
  }
}

/** The umask does not apply to `mode`. What counts for a limit is made where it is counted, and led to. */
function makeDirectory(directory: string, mode: number, room?: Room): void {
  const place = room === undefined ? directory : path.join(room.place, path.basename(directory))
  mkdirSync(place, { mode })
  chmodSync(place, mode)
  room?.enter(place)
  if (place !== directory) symlinkSync(path.relative(path.dirname(directory), place), directory)
}

/**
 * An empty file after a power failure would make the layer, or all its children, unreadable (moby issue 46471), unless its
 * content is found elsewhere.
 */
async function writeWhole(file: string, content: string, isFlushed: boolean): Promise<void> {
  const fd = openSync(file, 'wx', 0o644)
  try {
    writeSync(fd, content)
    if (isFlushed) await flush(fd)
  } finally {
    closeSync(fd)
  }
}

/** From now on the parent is only mounted for reading. */
async function markCommitted(home: string, parent: LayerId): Promise<void> {
  try {
    closeSync(openSync(layerPaths(home, parent).committed, 'a', 0o600))
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error
    throw new GraphDriverError('GD_LAYER_NOT_FOUND', `overlay2 holds no layer ${parent}, the parent`, {
      id: parent,
    })
  }
}

function alreadyThere(id: LayerId): GraphDriverError<'GD_LAYER_EXISTS'> {
  return new GraphDriverError('GD_LAYER_EXISTS', `overlay2 already holds a layer ${id}`, { id })
}

/** `l` has the form of an id and is the directory of short links. */
function refuseReserved(id: LayerId): void {
  if (id !== 'l') return
  const expected = "a layer id of overlay2, which keeps its short links in 'l'"
  throw new GraphDriverError('GD_INVALID_ID', `'${id}' is not ${expected}`, { value: id, expected })
}

/** Takes a layer out of sight at once. @returns what is left for `discardLayer`, if anything */
export function hideLayer(home: string, id: LayerId): readonly Scratch[] {
  refuseReserved(id)
  const hidden = moveToScratch(layerPaths(home, id).directory, 'layer')
  return hidden === undefined ? [] : [hidden]
}

/**
 * Unmounts all that is mounted in a hidden layer, and deletes it with its link. Repeating it after a failure is safe.
 *
 * @param options the id that it had, where it is known
 */
export async function discardLayer(
  home: string,
  hidden: Scratch,
  { workers, limits }: Tools,
  { id, ...options }: DiscardOptions & { readonly id?: LayerId | undefined } = {},
): Promise<void> {
  await removeBehind(hidden, workers, options, async (remove) => {
    const link = shortNameOf(home, id, pathsIn(hidden.path))
    if (link !== undefined) await removeLink(home, link)
    await limits.ending(hidden.path, remove)
  })
}

/** Deletes what processes left that died while making or deleting layers. @returns whether nothing is left */
export function reapLayers(home: string, tools: Tools): Promise<boolean> {
  return reapScratch(home, 'layer', (abandoned) => discardLayer(home, abandoned, tools))
}
