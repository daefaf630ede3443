/**
 * What btrfs keeps on disk, which is what Docker keeps.
 *
 * ```
 * <root>/btrfs/
 *   subvolumes/
 *     <id>/                         a subvolume: the layer with everything below it, a whole root filesystem
 *     .graphdriver-layer-<random>/  ours: a layer being deleted
 *   quotas/                         there once the filesystem has quotas
 *     <id>                          its size in bytes, decimal
 * ```
 *
 * A layer starts as a snapshot of its parent, which costs nothing however large that is. Nothing records the parent but
 * the filesystem itself.
 */
import { lstatSync } from 'node:fs'
import path from 'node:path'
import { GraphDriverError, type LayerId } from '@graphdriver/core'

export function layersDirectory(home: string): string {
  return path.join(home, 'subvolumes')
}

export function layerDirectory(home: string, id: LayerId): string {
  return path.join(layersDirectory(home), id)
}

export function quotasDirectory(home: string): string {
  return path.join(home, 'quotas')
}

export function quotaFile(home: string, id: LayerId): string {
  return path.join(quotasDirectory(home), id)
}

export function layerExists(home: string, id: LayerId): boolean {
  return lstatSync(layerDirectory(home, id), { throwIfNoEntry: false })?.isDirectory() === true
}

/** The layer's directory. @throws GD_LAYER_NOT_FOUND */
export function findLayer(home: string, id: LayerId): string {
  if (layerExists(home, id)) return layerDirectory(home, id)
  throw new GraphDriverError('GD_LAYER_NOT_FOUND', `btrfs holds no layer ${id}`, { id })
}
