import { GraphDriverError, type IdMap, type IdRange } from '@graphdriver/core'
import type { IdMapping, RuntimeSpec, UserNamespaceMaps } from '@graphdriver/image'
import { idMaps } from '@graphdriver/sys'

/**
 * In a user namespace not every user of an image exists; runtimes say so in words that nobody understands.
 *
 * @param ids of the namespace that the container gets; by default that of this process
 * @throws GD_PROCESS_INVALID
 */
export function requireMappedUser({ process: { user } }: RuntimeSpec, ids?: IdMap): void {
  const { uids, gids } = ids ?? idMaps()
  const [userRemedy, groupRemedy] =
    ids === undefined ? [subordinate('uid'), subordinate('gid')] : ['widen --uidmap', 'widen --gidmap']
  if (!has(uids, user.uid)) throw unmapped('user', user.uid, userRemedy)
  if (!has(gids, user.gid)) throw unmapped('group', user.gid, groupRemedy)
}

function has(ranges: readonly IdRange[], id: number): boolean {
  return ranges.some(({ inside, count }) => id >= inside && id < inside + count)
}

function subordinate(kind: 'uid' | 'gid'): string {
  return `give yours a range in /etc/sub${kind}, or be root`
}

function unmapped(
  field: 'user' | 'group',
  id: number,
  remedy: string,
): GraphDriverError<'GD_PROCESS_INVALID'> {
  const message = `${field} ${id} of the image has no id in this user namespace; ${remedy}`
  return new GraphDriverError('GD_PROCESS_INVALID', message, { field, value: String(id) })
}

/** The same in the words of an OCI configuration. */
export function namespaceMaps({ uids, gids }: IdMap): UserNamespaceMaps {
  const mapping = ({ inside, outside, count }: IdRange): IdMapping => ({
    containerID: inside,
    hostID: outside,
    size: count,
  })
  return { uidMap: uids.map(mapping), gidMap: gids.map(mapping), byRoot: process.geteuid?.() === 0 }
}
