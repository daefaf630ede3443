import {
  type Driver,
  type GetOptions,
  GraphDriverError,
  type IdMap,
  type LayerId,
  type Mount,
} from '@graphdriver/core'

/** A layer as it is, or with other owners. @throws GD_DRIVER_UNSUPPORTED, as `get` and `getMapped` */
export async function getAs(
  driver: Driver,
  id: LayerId,
  ids: IdMap | undefined,
  options: GetOptions,
): Promise<Mount> {
  if (ids === undefined) return await driver.get(id, options)
  if (driver.getMapped !== undefined && driver.capabilities.mappedOwners)
    return await driver.getMapped(id, ids, options)
  const hint = 'choose overlay2, overlay, btrfs, vfs or devicemapper, as root, or leave the maps out'
  const message = `${driver.name} shows layers with their own owners only here; ${hint}`
  throw new GraphDriverError('GD_DRIVER_UNSUPPORTED', message, {
    driver: driver.name,
    reason: 'no-mapped-owners',
    hint,
  })
}
