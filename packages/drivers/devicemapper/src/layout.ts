/**
 * What devicemapper keeps, which is what Docker keeps.
 *
 * ```
 * <root>/devicemapper/
 *   devicemapper/data, metadata     sparse files under a pool of our own, where no devices are given
 *   metadata/
 *     base                          the base device: an empty filesystem, of which a base layer is a snapshot
 *     <id>                          a layer's device; `layer:<id>` where this list has another meaning for the id
 *     deviceset-metadata            what the base device is
 *     transaction-metadata          what was begun last in the pool
 *     removed:<random>              ours: a device that is being deleted, and cannot yet
 *   mnt/<id>/                       where a layer's filesystem is mounted; there only while it is
 *     rootfs/                       the layer's tree
 *     id                            the layer's id
 *   setup-config.json               how a volume group was made of a device
 * devices
 *   docker-<major>:<minor>-<inode>-pool    the pool, unless one is given
 *   docker-<major>:<minor>-<inode>-<id>    a layer's, while it is mounted
 * ```
 */
import { createHash, randomBytes } from 'node:crypto'
import { statSync } from 'node:fs'
import path from 'node:path'
import { asLayerId, GraphDriverError, type LayerId } from '@graphdriver/core'
import { major, minor } from '@graphdriver/sys'
import { longestName } from '@graphdriver/sys/devicemapper'

export function metadataDirectory(home: string): string {
  return path.join(home, 'metadata')
}

export function mountsDirectory(home: string): string {
  return path.join(home, 'mnt')
}

export function mountPoint(home: string, id: LayerId): string {
  return path.join(mountsDirectory(home), id)
}

/** The tree of a layer, where its filesystem is mounted. */
export function treeAt(target: string): string {
  return path.join(target, 'rootfs')
}

export function loopDirectory(home: string): string {
  return path.join(home, 'devicemapper')
}

/** The name of the base device's record. */
export const base = 'base'

/** A record in `metadata/`: a layer's, the base device's, or a removed one's. */
export type RecordName = LayerId | `layer:${string}` | typeof base | `removed:${string}`

const removedPrefix = 'removed:'

export function randomRemovedName(): RecordName {
  return `${removedPrefix}${randomBytes(8).toString('hex')}`
}

export function isRemovedName(name: string): name is `removed:${string}` {
  return name.startsWith(removedPrefix)
}

const layerPrefix = 'layer:'

/** The record of a layer: its id, as in Docker, unless the layout has another meaning for that. */
export function recordOf(id: LayerId): RecordName {
  return isReserved(id) ? `${layerPrefix}${id}` : id
}

/** The layer of a file in `metadata/`; undefined for what Docker passes over, or means something else by. */
export function layerOfRecord(file: string): LayerId | undefined {
  if (file.startsWith(layerPrefix)) return asLayerId(file.slice(layerPrefix.length))
  return isReserved(file) ? undefined : asLayerId(file)
}

export function isRecordName(file: string): file is RecordName {
  return file === base || isRemovedName(file) || layerOfRecord(file) !== undefined
}

/** `pool` is no file, but the device of a layer of this name would be the pool. */
const reserved: ReadonlySet<string> = new Set([base, 'deviceset-metadata', 'transaction-metadata', 'pool'])

function isReserved(name: string): boolean {
  return reserved.has(name) || name.endsWith('.migrated')
}

/** What the names of all devices of a home begin with: Docker's, from the directory's device and inode. */
export function devicePrefix(home: string): string {
  const { dev, ino } = statSync(home, { bigint: true })
  return `docker-${major(dev)}:${minor(dev)}-${ino}`
}

/** The device mapper's name for a device. Ids that are too long for it are cut and told apart by their digest. */
export function deviceName(prefix: string, name: RecordName): string {
  const full = `${prefix}-${name}`
  if (full.length <= longestName) return full
  const digest = createHash('sha256').update(name).digest('hex').slice(0, 32)
  return `${full.slice(0, longestName - digest.length - 1)}-${digest}`
}

export function poolName(prefix: string): string {
  return `${prefix}-pool`
}

export function layerNotFound(id: LayerId): GraphDriverError<'GD_LAYER_NOT_FOUND'> {
  return new GraphDriverError('GD_LAYER_NOT_FOUND', `devicemapper holds no layer ${id}`, { id })
}
