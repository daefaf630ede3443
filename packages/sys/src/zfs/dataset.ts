/** Datasets, snapshots and clones. Every call here is one transaction of ZFS, or a look at what is in memory. */
import { isSystemError } from '../error.ts'
import { zfsCall } from './command.ts'
import type { NvList, NvValue } from './nvlist.ts'

/** DMU_OST_ZFS: a filesystem, not a volume. */
const filesystemType = 2

/** Settable properties, numbers as bigint. */
export type ZfsProperties = Readonly<Record<string, bigint | string>>

/** The pool of a dataset or snapshot. */
export function poolOf(name: string): string {
  return name.replace(/[/@].*/, '')
}

/** @throws SystemError EEXIST; ENOENT without the dataset above; EINVAL, ENAMETOOLONG for a name */
export function createDataset(name: string, props: ZfsProperties): void {
  zfsCall('CREATE', { name, arguments: { type: filesystemType, props }, answers: true })
}

/** @throws SystemError ENOENT without the dataset, EEXIST */
export function createSnapshot(name: string): void {
  zfsCall('SNAPSHOT', { name: poolOf(name), arguments: { snaps: { [name]: true } }, answers: true })
}

/** @throws SystemError EEXIST; ENOENT without the snapshot */
export function cloneSnapshot(snapshot: string, name: string, props: ZfsProperties): void {
  zfsCall('CLONE', { name, arguments: { origin: snapshot, props }, answers: true })
}

/**
 * Deletes snapshots of one pool. Those that are not there are no error.
 *
 * @param defer those that have clones go with the last of them
 * @throws SystemError EEXIST for one that has clones, EBUSY for one that is held
 */
export function destroySnapshots(
  names: readonly string[],
  { defer = false }: { readonly defer?: boolean } = {},
): void {
  const [first] = names
  if (first === undefined) return
  const snaps = Object.fromEntries(names.map((name) => [name, true as const]))
  const request = { snaps, ...(defer ? { defer: true as const } : {}) }
  zfsCall('DESTROY_SNAPS', { name: poolOf(first), arguments: request, answers: true })
}

/** Deletes a filesystem without snapshots or children. @throws SystemError ENOENT, EBUSY while mounted, EEXIST */
export function destroyDataset(name: string): void {
  zfsCall('DESTROY', { name })
}

/** @throws SystemError ENOENT, EEXIST, EBUSY */
export function renameDataset(name: string, newName: string): void {
  zfsCall('RENAME', { name, value: newName })
}

/** @throws SystemError ENOSPC for a quota that is less than there is */
export function setProperties(name: string, props: ZfsProperties): void {
  zfsCall('SET_PROP', { name, arguments: props, answers: true })
}

/**
 * Has a pool write out what it has in memory, and waits for it and the two transaction groups after which what was deleted is
 * free again (txg_wait_synced, TXG_DEFER_SIZE).
 *
 * @throws SystemError ENOENT, EAGAIN while the pool is suspended
 */
export function syncPool(pool: string): void {
  zfsCall('POOL_SYNC', { name: pool, arguments: { force: false }, answers: true })
}

/** What a property is: a text, a number, or names. */
export type ZfsProperty = string | bigint | readonly string[]

/** All properties of a dataset or snapshot by name. @returns undefined when there is none */
export function readProperties(name: string): ReadonlyMap<string, ZfsProperty> | undefined {
  try {
    return propertiesIn(zfsCall('OBJSET_STATS', { name, answers: true }).list)
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'EINVAL', 'ENAMETOOLONG')) return undefined
    throw error
  }
}

/** `{ name: { value, source } }`, the value itself perhaps names. */
function propertiesIn(list: NvList): ReadonlyMap<string, ZfsProperty> {
  const properties = new Map<string, ZfsProperty>()
  for (const [name, property] of Object.entries(list)) {
    const value = isList(property) ? property['value'] : undefined
    if (typeof value === 'string' || typeof value === 'bigint') properties.set(name, value)
    else if (value !== undefined && isList(value)) properties.set(name, Object.keys(value))
  }
  return properties
}

function isList(value: NvValue): value is NvList {
  return typeof value === 'object'
}

/** The filesystems and volumes directly in a dataset, by their whole names; none where it is not there. */
export function datasetsIn(name: string): readonly string[] {
  return listed('DATASET_LIST_NEXT', name)
}

/** By their whole names; none where the dataset is not there. */
export function snapshotsOf(name: string): readonly string[] {
  return listed('SNAPSHOT_LIST_NEXT', name)
}

function listed(call: 'DATASET_LIST_NEXT' | 'SNAPSHOT_LIST_NEXT', name: string): readonly string[] {
  const found: string[] = []
  for (let cookie = 0n; ;) {
    try {
      const next = zfsCall(call, { name, cookie, answers: true })
      found.push(next.name)
      cookie = next.cookie
    } catch (error) {
      // There are no more.
      if (isSystemError(error, 'ESRCH')) return found
      throw error
    }
  }
}
