/**
 * What overlay keeps on disk, which is what Docker keeps, file for file.
 *
 * ```
 * <root>/overlay/
 *   <id>/
 *     root/       an image layer: it with everything below it, a whole tree. Files are hard links to the parent's
 *   <id>/         any other layer, such as a container's:
 *     upper/      its own changes, as overlayfs writes them
 *     lower-id    the layer whose root/ is below
 *     work/       overlayfs' scratch space
 *     nothing/    ours, empty: what is below a layer that stands on none and has limits
 *     volume.img, volume/   ours: the filesystem in a file that limits the layer, and where it is mounted while it is in
 *                 use; upper and work are then symbolic links into it
 *     merged/     where the two are mounted; there only while they are
 *     mapped      ours: by which map they are mounted; left behind when they are not
 *   <id>/.graphdriver-committed    ours, empty: the layer has or had a child that stands on its root/
 *   .graphdriver-layer-<random>/   ours: a layer, or a root/, being made or deleted
 * ```
 *
 * A layer starts in the second form, and `applyDiff` turns it into the first. Where both are there, which is so when
 * somebody died in between, root/ counts. A layer on one of the second form starts with a copy of its upper/.
 */
import { existsSync, lstatSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { asLayerId, GraphDriverError, type LayerId } from '@graphdriver/core'
import { Volume } from '@graphdriver/quota'
import { isSystemError } from '@graphdriver/sys'

export interface LayerPaths {
  readonly directory: string
  readonly root: string
  readonly upper: string
  readonly work: string
  readonly merged: string
  readonly lowerId: string
  readonly committed: string
  readonly nothing: string
}

/** Which of the two forms a layer has. */
export type LayerForm =
  | { readonly kind: 'tree' }
  /** Only a layer with limits stands on none. */
  | { readonly kind: 'upper'; readonly lower: LayerId | undefined }

export function layerPaths(home: string, id: LayerId): LayerPaths {
  return pathsIn(path.join(home, id))
}

/** The same names in a directory that is not yet, or no longer, called by its layer's id. */
export function pathsIn(directory: string): LayerPaths {
  const at = (name: string): string => path.join(directory, name)
  return {
    directory,
    root: at('root'),
    upper: at('upper'),
    work: at('work'),
    merged: at('merged'),
    lowerId: at('lower-id'),
    committed: at('.graphdriver-committed'),
    nothing: at('nothing'),
  }
}

/** @throws GD_LAYER_NOT_FOUND; GD_STORE_CORRUPT when the lower layer has no name */
export async function readForm(home: string, id: LayerId): Promise<LayerForm> {
  const paths = layerPaths(home, id)
  if (isDirectory(paths.root)) return { kind: 'tree' }
  const text = await readIfThere(paths.lowerId)
  // It may have been turned into the other form since.
  if (text === undefined && isDirectory(paths.root)) return { kind: 'tree' }
  if (text === undefined && existsSync(paths.nothing)) return { kind: 'upper', lower: undefined }
  if (text === undefined) throw layerNotFound(id)
  const lower = asLayerId(text.trim())
  if (lower !== undefined) return { kind: 'upper', lower }
  throw new GraphDriverError(
    'GD_STORE_CORRUPT',
    `overlay: layer ${id}: ${paths.lowerId} does not name a layer; remove the layer, and make it again`,
    { path: paths.lowerId },
  )
}

/** A directory that is neither form is somebody else's. */
export function layerExists(home: string, id: LayerId): boolean {
  const { root, lowerId, nothing } = layerPaths(home, id)
  return isDirectory(root) || existsSync(lowerId) || existsSync(nothing)
}

/** The volume of a layer, by the layer's directory. */
export function volumeOf(directory: string): Volume {
  return new Volume(path.join(directory, 'volume.img'), path.join(directory, 'volume'))
}

/** What counts for a layer's limits, by the layer's directory. */
export function countedOf(directory: string): string {
  return pathsIn(directory).upper
}

export function layerNotFound(id: LayerId): GraphDriverError<'GD_LAYER_NOT_FOUND'> {
  return new GraphDriverError('GD_LAYER_NOT_FOUND', `overlay holds no layer ${id}`, { id })
}

function isDirectory(directory: string): boolean {
  return lstatSync(directory, { throwIfNoEntry: false })?.isDirectory() === true
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  }
}
