import { createHash } from 'node:crypto'
import { GraphDriverError } from './error.ts'

/** Ids from `inside` on, as a layer has them, are those from `outside` on for the host: a line of /proc/PID/uid_map. */
export interface IdRange {
  readonly inside: number
  readonly outside: number
  readonly count: number
}

/** Who somebody in a layer is on the host, as in the user namespace of a container. @see user_namespaces(7) */
export interface IdMap {
  readonly uids: readonly IdRange[]
  readonly gids: readonly IdRange[]
}

/** Ids are 32 bits, and the last one means none. */
const idCount = 0xffff_ffff
/** What the kernel takes for a namespace. */
const mostRanges = 340

/** @throws GD_INVALID_OPTION: no range, one that is too long, or two that meet inside or outside */
export function checkIdMap(map: IdMap): void {
  for (const [option, ranges] of [
    ['uids', map.uids],
    ['gids', map.gids],
  ] as const) {
    if (ranges.length === 0) throw invalid(option, 'has no range')
    if (ranges.length > mostRanges) throw invalid(option, `has more than ${mostRanges} ranges`)
    for (const range of ranges) checkRange(option, range)
    for (const side of ['inside', 'outside'] as const) checkApart(option, side, ranges)
  }
}

/** The same for the same map: what a name or a note on disk can have of it. */
export function idMapKey({ uids, gids }: IdMap): string {
  const text = [uids, gids].map((ranges) =>
    ranges
      .map(({ inside, outside, count }) => `${inside}:${outside}:${count}`)
      .toSorted()
      .join(','),
  )
  return createHash('sha256').update(text.join('/')).digest('hex').slice(0, 16)
}

/**
 * What mounting by a map failed with, said so that somebody can do something about it.
 *
 * @param error of a system call, by its `code`; others are returned as they are
 */
export function unmappable(driver: string, id: string, error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const hint = hints.get(code)
  if (hint === undefined) return error
  const message = `${driver} cannot show layer ${id} with other owners: ${String(error)}; ${hint}`
  const details = { driver, reason: 'no-idmapped-mounts', hint }
  return new GraphDriverError('GD_DRIVER_UNSUPPORTED', message, details, { cause: error })
}

/** Of a driver that stacks, and shows a layer one way at a time. */
export function mappedOtherwise(driver: string, id: string): GraphDriverError<'GD_LAYER_IN_USE'> {
  const message = `layer ${id} is mounted with other owners than asked for, and ${driver} shows it one way at a time; unmount it first`
  return new GraphDriverError('GD_LAYER_IN_USE', message, { id, users: [] })
}

/**
 * Of a driver that stacks directories of one mount.
 *
 * @param program what mounts instead of the kernel
 * @param volumes the layers of the stack that are filesystems of their own
 * @throws GD_DRIVER_UNSUPPORTED
 */
export function requireMappable(
  driver: string,
  id: string,
  program: string | undefined,
  volumes: readonly string[],
): void {
  const refuse = (reason: string, why: string, hint: string): never => {
    const message = `${driver} cannot show layer ${id} with other owners: ${why}; ${hint}`
    throw new GraphDriverError('GD_DRIVER_UNSUPPORTED', message, { driver, reason, hint })
  }
  if (program !== undefined)
    refuse('mount-program', `${program} mounts here, and not the kernel`, 'let the kernel mount, as root')
  if (volumes.length > 0)
    refuse('volume', `its limit is a filesystem in a file`, 'use project quotas, or no limit')
}

const filesystems = 'use Linux 5.19 or later, and ext4, xfs, btrfs or ZFS 2.2'
const hints: ReadonlyMap<string, string> = new Map([
  ['EINVAL', filesystems],
  ['ENOSYS', filesystems],
  ['EOPNOTSUPP', filesystems],
  ['ENOTSUP', filesystems],
  ['EACCES', 'let the map have the owner of the layer’s root directory, who is root of it as a rule'],
  ['EPERM', 'be root outside of any user namespace, who may give away these ids'],
  ['ENOENT', 'install util-linux, whose unshare makes the namespace'],
])

function checkRange(option: string, { inside, outside, count }: IdRange): void {
  const isId = (id: number): boolean => Number.isSafeInteger(id) && id >= 0
  const isRange = isId(inside) && isId(outside) && Number.isSafeInteger(count) && count > 0
  if (!isRange || Math.max(inside, outside) + count > idCount)
    throw invalid(option, `has ${inside}:${outside}:${count}, which is no range of ids`)
}

function checkApart(option: string, side: 'inside' | 'outside', ranges: readonly IdRange[]): void {
  const sorted = ranges.toSorted((a, b) => a[side] - b[side])
  for (const [index, range] of sorted.entries()) {
    const next = sorted[index + 1]
    if (next !== undefined && range[side] + range.count > next[side])
      throw invalid(option, `has two ranges with the id ${next[side]} ${side}`)
  }
}

function invalid(option: string, what: string): GraphDriverError<'GD_INVALID_OPTION'> {
  return new GraphDriverError('GD_INVALID_OPTION', `the map of ${option} ${what}`, { option })
}
