/** `--uidmap` and `--gidmap`: who in a container is who on the host. */
import { GraphDriverError, type IdMap, type IdRange } from '@graphdriver/core'

export interface MapFlags {
  readonly uidmap?: readonly string[]
  readonly gidmap?: readonly string[]
}

/**
 * Groups are mapped as users are where nothing else is said.
 *
 * @returns undefined where nothing is said at all
 * @throws GD_INVALID_OPTION
 */
export function idMapOf({ uidmap, gidmap }: MapFlags): IdMap | undefined {
  const [uids, gids] = [uidmap ?? gidmap, gidmap ?? uidmap]
  if (uids === undefined || gids === undefined) return undefined
  return { uids: uids.map(parseRange), gids: gids.map(parseRange) }
}

function parseRange(text: string): IdRange {
  const match = /^(\d{1,10}):(\d{1,10}):(\d{1,10})$/.exec(text)
  if (match === null) {
    const message = `'${text}' maps no ids; write INSIDE:OUTSIDE:COUNT, such as 0:100000:65536`
    throw new GraphDriverError('GD_INVALID_OPTION', message, { option: 'uidmap', value: text })
  }
  const [inside = 0, outside = 0, count = 0] = match.slice(1).map(Number)
  return { inside, outside, count }
}

/** Who root of the container is on the host; of a map without one nobody. */
export function hostRootOf({ uids, gids }: IdMap): { readonly uid: number; readonly gid: number } {
  const outside = (ranges: readonly IdRange[]): number => {
    const range = ranges.find(({ inside }) => inside === 0)
    return range?.outside ?? 65_534
  }
  return { uid: outside(uids), gid: outside(gids) }
}
