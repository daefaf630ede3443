/** Errors that name the entry they are about. */
import { type ErrorCode, GraphDriverError, isGraphDriverError } from '@graphdriver/core'
import { isSystemError, SystemError } from '@graphdriver/sys'
import type { TarHeader } from '../tar/header.ts'
import { shownName } from './entry-path.ts'

/** What an error tells of an entry. */
type Named = Pick<TarHeader, 'name' | 'offset'>

function subject(header: Named): string {
  return `tar entry '${shownName(header.name)}'`
}

export function invalidEntry(header: Named, what: string): GraphDriverError<'GD_ARCHIVE_INVALID'> {
  const details = { entry: shownName(header.name), offset: header.offset }
  return new GraphDriverError('GD_ARCHIVE_INVALID', `${subject(header)} ${what}`, details)
}

export function breakout(header: Named, target?: Buffer): GraphDriverError<'GD_ARCHIVE_BREAKOUT'> {
  const entry = shownName(header.name)
  if (target === undefined) {
    return new GraphDriverError(
      'GD_ARCHIVE_BREAKOUT',
      `${subject(header)} lies outside of the layer's root`,
      {
        entry,
      },
    )
  }
  const shown = shownName(target)
  return new GraphDriverError(
    'GD_ARCHIVE_BREAKOUT',
    `${subject(header)} is a hard link to '${shown}', outside of the layer's root`,
    { entry, target: shown },
  )
}

export function unsupportedEntry(
  header: Named,
  reason: string,
  cause?: unknown,
): GraphDriverError<'GD_ARCHIVE_UNSUPPORTED'> {
  const details = { entry: shownName(header.name), reason }
  const options = cause === undefined ? {} : { cause }
  return new GraphDriverError('GD_ARCHIVE_UNSUPPORTED', `${subject(header)}: ${reason}`, details, options)
}

/**
 * Gives an error from deeper down the entry's name: a system error the path that it is about, one of an archive
 * without an entry this one. What is complete already stays as it is.
 */
export function nameEntry(error: unknown, header: Named, root: string): unknown {
  if (isGraphDriverError(error, 'GD_ARCHIVE_INVALID')) {
    const unnamed = !('entry' in error.details)
    return unnamed ? invalidEntry(header, error.message) : error
  }
  if (isGraphDriverError<ErrorCode>(error)) return error
  if (!isSystemError(error) || error.errno === undefined) return error
  const path = `${root}/${shownName(header.name)}`
  return new SystemError(Math.abs(error.errno), { syscall: error.syscall ?? 'unknown', path })
}
