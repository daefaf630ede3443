/**
 * What aufs keeps on disk, which is what Docker kept, and one directory of ours that Docker never looks at.
 *
 * ```
 * <root>/aufs/
 *   layers/<id>       the layers below, nearest first, a line each; empty for a base layer. Written last: it is the layer
 *   diff/<id>/        the layer's own changes, in AUFS's format: `.wh.NAME` for what is deleted
 *   mnt/<id>/         where the stack is mounted; always there
 *   .graphdriver/     ours
 *     nothing/          an empty directory
 *     form/<id>       while diff/<id> is not in AUFS's format: `overlay`, or `changing` from one to the other
 *     layer/<id>/
 *       work/         overlayfs' scratch space
 *       volume.img, volume/   the filesystem in a file that limits the layer, and where it is mounted while it is in use:
 *                     diff/, work/ and aside/ in it are then the layer's, and diff/<id> is empty
 *       volumes       the layers of the stack, this one included, that have a volume; absent when none has
 *       lock/         empty; locked (flock(2)) by who changes the format of diff/<id>, or relies on it
 *       committed     empty: the layer has or had a child, and is only mounted for reading
 *       shade/        how overlayfs is told what diff/<id> says, once there is a child to be told for
 *         over/       stacked over diff/<id>; absent when there is nothing to hide
 *         under/      stacked under it; absent when no directory is opaque
 *         opaque      empty, there when the root is: nothing further below belongs to the stack
 *       aside/        files that a container named like AUFS's markers
 *   diff/.graphdriver-layer-<random>/ and the like: being made or deleted
 * ```
 *
 * Docker deletes by renaming to `<id>-removing`; what it left so is deleted when the home is opened.
 */
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { asLayerId, GraphDriverError, type LayerId } from '@graphdriver/core'
import { Volume } from '@graphdriver/quota'
import { isSystemError } from '@graphdriver/sys'

export interface LayerPaths {
  readonly record: string
  readonly diff: string
  readonly mount: string
  readonly form: string
  /** Everything below is in it. */
  readonly own: string
  readonly work: string
  readonly volumes: string
  readonly lock: string
  readonly committed: string
  readonly shade: string
  readonly aside: string
}

export interface HomePaths {
  readonly records: string
  readonly diffs: string
  readonly mounts: string
  readonly forms: string
  readonly own: string
}

/** Relative to the home. */
export const nothing = '.graphdriver/nothing'

export function homePaths(home: string): HomePaths {
  return {
    records: path.join(home, 'layers'),
    diffs: path.join(home, 'diff'),
    mounts: path.join(home, 'mnt'),
    forms: path.join(home, '.graphdriver/form'),
    own: path.join(home, '.graphdriver/layer'),
  }
}

export function layerPaths(home: string, id: LayerId): LayerPaths {
  const { records, diffs, mounts, forms, own } = homePaths(home)
  const places = ownPaths(path.join(own, id))
  return {
    record: path.join(records, id),
    diff: path.join(diffs, id),
    mount: path.join(mounts, id),
    form: path.join(forms, id),
    ...places,
    ...inVolume(places.own),
  }
}

/** Where a layer with a volume has what counts; nothing for others. */
export function inVolume(own: string): Partial<Pick<LayerPaths, 'diff' | 'work' | 'aside'>> {
  const volume = volumeOf(own)
  const at = (name: string): string => path.join(volume.target, name)
  return volume.exists() ? { diff: at('diff'), work: at('work'), aside: at('aside') } : {}
}

/** The volume of a layer, by the directory that is ours of the layer's. */
export function volumeOf(own: string): Volume {
  return new Volume(path.join(own, 'volume.img'), path.join(own, 'volume'))
}

/** What counts for the limits of a layer without a volume, by the directory that is ours of the layer's. */
export function countedOf(own: string): string {
  return path.join(own, '../../../diff', path.basename(own))
}

/** The layers of a stack that have a volume. */
export function readVolumes(home: string, id: LayerId): readonly LayerId[] {
  const { volumes } = ownPaths(path.join(homePaths(home).own, id))
  try {
    return readFileSync(volumes, 'utf8')
      .split('\n')
      .flatMap((line) => asLayerId(line) ?? [])
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return []
    throw error
  }
}

/** The same names in a directory that is not yet, or no longer, called by its layer's id. */
export function ownPaths(
  own: string,
): Pick<LayerPaths, 'own' | 'work' | 'volumes' | 'lock' | 'committed' | 'shade' | 'aside'> {
  const at = (name: string): string => path.join(own, name)
  return {
    own,
    work: at('work'),
    volumes: at('volumes'),
    lock: at('lock'),
    committed: at('committed'),
    shade: at('shade'),
    aside: at('aside'),
  }
}

/** @returns the layers below, nearest first. @throws GD_LAYER_NOT_FOUND, GD_STORE_CORRUPT */
export function readParents(home: string, id: LayerId): readonly LayerId[] {
  const { record } = layerPaths(home, id)
  let text: string
  try {
    text = readFileSync(record, 'utf8')
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) throw layerNotFound(id)
    throw error
  }
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const parent = asLayerId(line)
      if (parent !== undefined) return parent
      throw new GraphDriverError(
        'GD_STORE_CORRUPT',
        `aufs: layer ${id}: ${record} has a line that names no layer; restore the file, or remove the layer`,
        { path: record },
      )
    })
}

export function layerExists(home: string, id: LayerId): boolean {
  return existsSync(layerPaths(home, id).record)
}

export function layerNotFound(id: LayerId): GraphDriverError<'GD_LAYER_NOT_FOUND'> {
  return new GraphDriverError('GD_LAYER_NOT_FOUND', `aufs holds no layer ${id}`, { id })
}
