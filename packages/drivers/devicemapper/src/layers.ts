/** Layers: a thin device with a filesystem each, a snapshot of its parent's. All under the device set's lock. */
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { GraphDriverError, type LayerId } from '@graphdriver/core'
import {
  FILESYSTEM_MAGIC,
  isMountPoint,
  removeMountPoint,
  statfs,
  unmountAndRemove,
  unmountTree,
} from '@graphdriver/sys'
import type { DeviceSet } from './device-set.ts'
import { growFilesystem, mountDevice } from './filesystem.ts'
import { base, layerNotFound, mountPoint, recordOf, treeAt } from './layout.ts'
import { tooSmall } from './options.ts'
import { type DeviceRecord, readDevice } from './record.ts'

export interface Construction {
  readonly id: LayerId
  readonly parent: LayerId | undefined
  /** Of its device, in bytes; by default as large as what it is a snapshot of. */
  readonly size: number | undefined
}

/** @throws GD_LAYER_NOT_FOUND */
export function findLayer(home: string, id: LayerId): DeviceRecord {
  const record = readLayer(home, id)
  if (record === undefined) throw layerNotFound(id)
  return record
}

/** One that is to go is no layer any more. */
export function readLayer(home: string, id: LayerId): DeviceRecord | undefined {
  const record = readDevice(home, recordOf(id))
  return record?.deleted === true ? undefined : record
}

/** @throws GD_LAYER_NOT_FOUND (the parent), GD_LAYER_EXISTS, GD_INVALID_OPTION, GD_NO_SPACE, GD_POOL_UNUSABLE */
export async function makeLayer(devices: DeviceSet, { id, parent, size }: Construction): Promise<void> {
  const { home } = devices
  if (readLayer(home, id) !== undefined)
    throw new GraphDriverError('GD_LAYER_EXISTS', `devicemapper already holds a layer ${id}`, { id })
  // What dockerd could not delete.
  const name = recordOf(id)
  await devices.delete(name)
  const origin = parent === undefined ? readDevice(home, base) : findLayer(home, parent)
  const least = origin?.size ?? 0
  if (size !== undefined && size < least) throw tooSmall(id, size, least)
  const record = await devices.create(name, size ?? least, parent === undefined ? base : recordOf(parent))
  if (record.size === least) return
  try {
    await growLayer(devices, id, record)
  } catch (error) {
    await devices.delete(name)
    throw error
  }
}

/** Gives a layer a larger device, and its filesystem all of it. @throws GD_INVALID_OPTION for less than it has */
export async function resizeLayer(devices: DeviceSet, id: LayerId, size: number): Promise<void> {
  const record = findLayer(devices.home, id)
  if (size < record.size) throw tooSmall(id, size, record.size)
  await growLayer(devices, id, await devices.resize(recordOf(id), record, size))
}

async function growLayer(devices: DeviceSet, id: LayerId, record: DeviceRecord): Promise<void> {
  const target = mountPoint(devices.home, id)
  const mounted = isMountPoint(target)
  const type = mounted
    ? undefined
    : mountDevice({ node: devices.active.activate(recordOf(id), record), target }, devices.options)
  try {
    growFilesystem(type ?? typeAt(target), target, record.size)
  } finally {
    if (!mounted) await unmountLayer(devices, id)
  }
}

function typeAt(target: string): 'ext4' | 'xfs' {
  return statfs(target).type === FILESYSTEM_MAGIC.xfs ? 'xfs' : 'ext4'
}

/** @returns false when it is mounted already. @throws GD_LAYER_NOT_FOUND, GD_STORE_CORRUPT, GD_POOL_UNUSABLE */
export async function mountLayer(devices: DeviceSet, id: LayerId, mountLabel?: string): Promise<boolean> {
  const record = findLayer(devices.home, id)
  const target = mountPoint(devices.home, id)
  if (isMountPoint(target)) return false
  const readOnly = devices.pool.ensure().mode === 'read-only'
  try {
    const node = devices.active.activate(recordOf(id), record)
    mountDevice({ node, target, mountLabel, readOnly }, devices.options)
    if (!readOnly) furnish(id, target)
    return true
  } catch (error) {
    await unmountLayer(devices, id)
    throw error
  }
}

/** What every filesystem of a layer has, made in a base layer's when it is mounted first. */
function furnish(id: LayerId, target: string): void {
  const tree = treeAt(target)
  if (!existsSync(tree)) {
    mkdirSync(tree)
    chmodSync(tree, 0o755)
  }
  const file = path.join(target, 'id')
  if (!existsSync(file)) writeFileSync(file, id, { mode: 0o600 })
}

/** Success when it is not mounted. */
export async function unmountLayer(devices: DeviceSet, id: LayerId): Promise<void> {
  unmountAndRemove(mountPoint(devices.home, id))
  await devices.active.deactivate(recordOf(id))
}

/** Success when there is none. @returns false when it is gone from sight, and somebody has it open */
export async function removeLayer(devices: DeviceSet, id: LayerId): Promise<boolean> {
  const target = mountPoint(devices.home, id)
  if (readDevice(devices.home, recordOf(id)) === undefined) return true
  unmountTree(target)
  removeMountPoint(target)
  return await devices.delete(recordOf(id))
}
