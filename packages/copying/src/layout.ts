/**
 * What is on disk, which for vfs is what Docker keeps.
 *
 * ```
 * <root>/<driver>/
 *   dir/
 *     <id>/                       the layer with everything below it: a whole root filesystem
 *     .graphdriver-layer-<random>/  ours: a layer being made or deleted (scratch.ts)
 *   .graphdriver-volumes/         ours
 *     <id>.img                    the filesystem in a file that limits the layer. It is mounted on dir/<id>, which is
 *                                 empty below, while the layer is in use
 * ```
 *
 * A layer starts as a copy of its parent and is then just a directory: nothing to mount, nothing to stack, no limit
 * of depth, any filesystem. The price is the copy. Where the filesystem can share extents between files (xfs, btrfs,
 * bcachefs), the copy takes no space and little time; elsewhere it takes both. Nothing records the parent.
 *
 * A directory gets its id by one rename when the copy is whole, and loses it by one rename before it is deleted, so
 * what is called by an id is never half a layer.
 */
import { lstatSync } from 'node:fs'
import path from 'node:path'
import { GraphDriverError, type LayerId } from '@graphdriver/core'
import { Volume } from '@graphdriver/quota'

export function layersDirectory(home: string): string {
  return path.join(home, 'dir')
}

export function layerDirectory(home: string, id: LayerId): string {
  return path.join(layersDirectory(home), id)
}

export function volumesDirectory(home: string): string {
  return path.join(home, '.graphdriver-volumes')
}

/** The volume of a layer, by the layer's directory. */
export function volumeOf(directory: string): Volume {
  return new Volume(imageOf(directory), directory)
}

export function imageOf(directory: string): string {
  const home = path.dirname(path.dirname(directory))
  return path.join(volumesDirectory(home), `${path.basename(directory)}.img`)
}

export function layerExists(home: string, id: LayerId): boolean {
  return lstatSync(layerDirectory(home, id), { throwIfNoEntry: false })?.isDirectory() === true
}

/** The layer's directory. @throws GD_LAYER_NOT_FOUND */
export function findLayer(driver: string, home: string, id: LayerId): string {
  if (layerExists(home, id)) return layerDirectory(home, id)
  throw new GraphDriverError('GD_LAYER_NOT_FOUND', `${driver} holds no layer ${id}`, { id })
}
