import { GraphDriverError } from '@graphdriver/core'

/** Bounds on what an archive may make its reader hold in memory, and unpack. */
export interface ArchiveLimits {
  /** Bytes of one extension header (PAX records, GNU long name) or of one sparse map. */
  readonly maxPaxBytes: number
  /** Bytes of a name or link target; Linux resolves no longer path. */
  readonly maxNameBytes: number
  readonly maxEntries: number
  /** Directories in each other, as names tell. */
  readonly maxDepth: number
  /** Bytes of all files together, holes of sparse files counted too. */
  readonly maxBytes: number
}

export const defaultLimits: ArchiveLimits = {
  maxPaxBytes: 1024 * 1024,
  maxNameBytes: 4096,
  maxEntries: Number.POSITIVE_INFINITY,
  maxDepth: Number.POSITIVE_INFINITY,
  maxBytes: Number.POSITIVE_INFINITY,
}

/** An archive that cannot be read, with the entry if it is known by then, and where in the archive. */
export function invalidArchive(
  reason: string,
  offset: number,
  entry?: Buffer,
): GraphDriverError<'GD_ARCHIVE_INVALID'> {
  const name = entry?.toString()
  const subject = name === undefined ? 'tar' : `tar entry '${name.slice(0, 200)}'`
  return new GraphDriverError('GD_ARCHIVE_INVALID', `${subject} at byte ${offset}: ${reason}`, {
    entry: name,
    offset,
  })
}
