import { GraphDriverError } from '@graphdriver/core'

/** What is no Windows layer, or a part of one, with the entry where it is known. */
export function invalidLayer(
  reason: string,
  entry?: string,
  offset?: number,
): GraphDriverError<'GD_ARCHIVE_INVALID'> {
  const subject = entry === undefined ? 'Windows layer' : `Windows layer: '${entry.slice(0, 200)}'`
  const where = offset === undefined ? '' : ` at byte ${offset}`
  return new GraphDriverError('GD_ARCHIVE_INVALID', `${subject}${where}: ${reason}`, { entry, offset })
}

/** What one may be, and this does not handle. */
export function unsupportedLayer(reason: string, entry: string): GraphDriverError<'GD_ARCHIVE_UNSUPPORTED'> {
  const message = `Windows layer: '${entry.slice(0, 200)}': ${reason}`
  return new GraphDriverError('GD_ARCHIVE_UNSUPPORTED', message, { entry, reason })
}
