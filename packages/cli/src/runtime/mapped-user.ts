import { GraphDriverError } from '@graphdriver/core'
import type { RuntimeSpec } from '@graphdriver/image'
import { type IdRange, idMaps } from '@graphdriver/sys'

/**
 * In a user namespace not every user of an image exists; runtimes say so in words that nobody understands.
 *
 * @throws GD_PROCESS_INVALID
 */
export function requireMappedUser({ process: { user } }: RuntimeSpec): void {
  const { uids, gids } = idMaps()
  if (!has(uids, user.uid)) throw unmapped('user', user.uid, '/etc/subuid')
  if (!has(gids, user.gid)) throw unmapped('group', user.gid, '/etc/subgid')
}

function has(ranges: readonly IdRange[], id: number): boolean {
  return ranges.some(({ inside, count }) => id >= inside && id < inside + count)
}

function unmapped(field: 'user' | 'group', id: number, file: string): GraphDriverError<'GD_PROCESS_INVALID'> {
  const message = `${field} ${id} of the image has no id in this user namespace; give yours a range in ${file}, or be root`
  return new GraphDriverError('GD_PROCESS_INVALID', message, { field, value: String(id) })
}
