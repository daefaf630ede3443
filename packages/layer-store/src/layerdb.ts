/**
 * # What is on disk
 *
 * Docker's layerdb, file for file, under `<root>/image/<driver>/`:
 *
 * ```
 * layerdb/
 *   sha256/<chain>/            one image layer, named by its ChainID
 *     diff                     its DiffID, `sha256:…`
 *     size                     bytes of its own files, decimal
 *     cache-id                 the driver's name for it
 *     parent                   ChainID of the layer below; absent for a base layer
 *     tar-split.json.gz        what is needed to make the tar again from the files
 *   .graphdriver-layers        ours: all image layers in one file, where there are many; see layer-index.ts
 *   sha256/<chain>-<random>-removing/   a layer whose deletion has begun
 *   mounts/<name>/             one writable layer
 *     mount-id                 the driver's name for it
 *     init-id                  the driver's name for the init layer below it, if there is one
 *     parent                   ChainID of the image layer below it; absent for none
 *   tmp/write-set-<random>/    a record that is being written, and, before anything else, the ids of the driver
 *                              layers it is written for
 * ```
 *
 * A record appears by the rename of a complete, synced directory, and disappears by a rename too. So whatever is
 * under its final name is whole, and everything that a crash left is under `tmp`, ends in `-removing`, or is a
 * driver layer that no record names. Files hold no trailing newline.
 */
import path from 'node:path'
import { type ChainId, digestHex } from '@graphdriver/core'

export interface Layerdb {
  readonly directory: string
  readonly layers: string
  readonly mounts: string
  readonly temporary: string
}

export function layerdbOf(root: string, driver: string): Layerdb {
  const directory = path.join(path.resolve(root), 'image', driver, 'layerdb')
  return {
    directory,
    layers: path.join(directory, 'sha256'),
    mounts: path.join(directory, 'mounts'),
    temporary: path.join(directory, 'tmp'),
  }
}

export function layerDirectory(layerdb: Layerdb, chainId: ChainId): string {
  return path.join(layerdb.layers, digestHex(chainId))
}

export function mountDirectory(layerdb: Layerdb, name: string): string {
  return path.join(layerdb.mounts, name)
}

export const tarSplitName = 'tar-split.json.gz'
export const removingSuffix = '-removing'
export const transactionPrefix = 'write-set-'
