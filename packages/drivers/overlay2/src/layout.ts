/**
 * What overlay2 keeps on disk, which is what Docker keeps, file for file.
 *
 * The kernel's overlayfs shows several directories as one: *lower* ones, only read, and one *upper* that takes what
 * is written. So a layer is just a directory of its own changes, and a stack is one mount:
 *
 * ```
 * <root>/overlay2/
 *   l/                        short names, because a mount's options must fit in a page
 *     <LINK> -> ../<id>/diff  26 characters, drawn at random
 *   <id>/
 *     diff/                   the layer's own changes: the upper directory, or a lower one for its children
 *     link                    the layer's short name
 *     lower                   the layers below, nearest first: l/<LINK>:l/<LINK>…; absent in a base layer
 *     parent -> ../l/<LINK>   ours: the layer below, as a name, which outlives a power cut that empties `lower`
 *     work/                   overlayfs' scratch space, on the same filesystem as diff/; absent in a base layer
 *     merged/                 where the stack is mounted; there only while it is
 *     nothing/                ours, empty: what is below a base layer with limits, which is mounted all the same
 *     volume.img, volume/     ours: the filesystem in a file that limits the layer, and where it is mounted while it is
 *                             in use; diff and work are then symbolic links into it
 *     volumes                 ours: the layers of the stack, this one included, that have a volume; absent when none has
 *     mapped                  ours: by which map the stack is mounted; left behind when it is not
 *     committed               empty; there once the layer has a child, and then it is mounted read-only
 *   .graphdriver-layer-<random>/ ours: a layer being made or deleted
 * ```
 *
 * In diff/ a deleted name is a character device 0:0, and a directory that hides what lies below it carries the
 * attribute `trusted.overlay.opaque` (`user.overlay.opaque` in a user namespace).
 *
 * A base layer has nothing below it and is never mounted: its root filesystem is diff/ itself. Docker 1.12 made
 * merged/ for good and knew no `committed`; both are accepted.
 */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { asLayerId, GraphDriverError, type LayerId } from '@graphdriver/core'
import { Volume } from '@graphdriver/quota'
import { isSystemError } from '@graphdriver/sys'

/** A short name: 26 characters of base32. */
export const linkForm: RegExp = /^[A-Z2-7]{26}$/

/** Where everything of one layer is. */
export interface LayerPaths {
  readonly directory: string
  readonly diff: string
  readonly link: string
  readonly lower: string
  readonly parent: string
  readonly work: string
  readonly merged: string
  readonly committed: string
  readonly nothing: string
  readonly volumes: string
}

/** What a layer's own files say of it. */
export interface LayerRecord {
  readonly link: string
  /** The layers below, nearest first, each as `l/<LINK>`; empty for a base layer. */
  readonly lower: readonly string[]
}

export function layerPaths(home: string, id: LayerId): LayerPaths {
  return pathsIn(path.join(home, id))
}

/** The same names in a directory that is not yet, or no longer, called by its layer's id. */
export function pathsIn(directory: string): LayerPaths {
  const at = (name: string): string => path.join(directory, name)
  return {
    directory,
    diff: at('diff'),
    link: at('link'),
    lower: at('lower'),
    parent: at('parent'),
    work: at('work'),
    merged: at('merged'),
    committed: at('committed'),
    nothing: at('nothing'),
    volumes: at('volumes'),
  }
}

export function linksDirectory(home: string): string {
  return path.join(home, 'l')
}

/** The volume of a layer, by the layer's directory. */
export function volumeOf(directory: string): Volume {
  return new Volume(path.join(directory, 'volume.img'), path.join(directory, 'volume'))
}

/** What counts for a layer's limits, by the layer's directory. */
export function countedOf(directory: string): string {
  return pathsIn(directory).diff
}

/** The layers of a stack that have a volume; those of no layer are none. */
export async function readVolumes(home: string, id: LayerId): Promise<readonly LayerId[]> {
  const text = readIfThere(layerPaths(home, id).volumes)
  return text === undefined ? [] : text.split('\n').flatMap((line) => asLayerId(line) ?? [])
}

export function layerNotFound(id: LayerId): GraphDriverError<'GD_LAYER_NOT_FOUND'> {
  return new GraphDriverError('GD_LAYER_NOT_FOUND', `overlay2 holds no layer ${id}`, { id })
}

/** At once: a file of some bytes is read sooner than a thread of the pool is woken. */
export function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  }
}
