/**
 * What zfs keeps, which is what Docker keeps.
 *
 * ```
 * dataset <fs>                   the one that holds the data root, or the option fsname
 *   <fs>/<id>                    a layer: a filesystem, mountpoint=legacy, with the layer's tree as its root
 *   <fs>/<parent>@<name>         what a child is a clone of; it goes with the last of them (destroy -d)
 *   <fs>/graphdriver:removed-…   ours: a layer that is being deleted, and cannot yet
 * <root>/zfs/
 *   graph/<id>/                  where the layer is mounted; in Docker only while it is
 *   dataset                      ours: the name of <fs>, where it is not the one that Docker would take
 * ```
 *
 * A layer is made by one transaction and deleted by one, so there is never half of one.
 */
import path from 'node:path'
import { asLayerId, GraphDriverError, type LayerId } from '@graphdriver/core'

export function graphDirectory(home: string): string {
  return path.join(home, 'graph')
}

export function mountPoint(home: string, id: LayerId): string {
  return path.join(graphDirectory(home), id)
}

export function datasetOf(filesystem: string, id: LayerId): string {
  return `${filesystem}/${id}`
}

/** The layer that a dataset is, if it is one. */
export function layerOf(filesystem: string, dataset: string): LayerId | undefined {
  return dataset.startsWith(`${filesystem}/`) ? asLayerId(dataset.slice(filesystem.length + 1)) : undefined
}

/** A colon is in no layer's id. */
export const removedPrefix = 'graphdriver:removed-'

/** The bound of ZFS for a whole name (ZFS_MAX_DATASET_NAME_LEN), its NUL and a snapshot's name left out. */
const longestName = 255 - '@graphdriver-0123456789abcdef'.length

/** @throws GD_INVALID_ID for an id that makes the dataset's name too long */
export function checkName(filesystem: string, id: LayerId): void {
  const length = datasetOf(filesystem, id).length
  if (length <= longestName) return
  const expected = `an id of at most ${longestName - filesystem.length - 1} characters, since ZFS bounds the whole name`
  throw new GraphDriverError('GD_INVALID_ID', `'${id}' is not ${expected}`, { value: id, expected })
}

export function layerNotFound(id: LayerId): GraphDriverError<'GD_LAYER_NOT_FOUND'> {
  return new GraphDriverError('GD_LAYER_NOT_FOUND', `zfs holds no layer ${id}`, { id })
}
