/** Names in a layer's tar: paths with `/`, each part of which Windows can have as the name of a file. */
import { GraphDriverError } from '@graphdriver/core'
import { invalidLayer } from './invalid.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true })
/** What NTFS and Win32 have other uses for; and control characters. */
// oxlint-disable-next-line no-control-regex
const impossible = /[\u0000-\u001f"*:<>?\\|]/
const longestPart = 255

export interface EntryName {
  readonly path: string
  /** Of a further stream: `stream` of `path:stream`. */
  readonly stream: string | undefined
}

/** @throws GD_ARCHIVE_INVALID, GD_ARCHIVE_BREAKOUT */
export function parseName(bytes: Buffer): EntryName {
  const text = decode(bytes).replace(/\/$/, '')
  const colon = text.indexOf(':', text.lastIndexOf('/') + 1)
  const path = colon === -1 ? text : text.slice(0, colon)
  const stream = colon === -1 ? undefined : text.slice(colon + 1)
  checkPath(path)
  if (stream !== undefined && (stream === '' || impossible.test(stream)))
    throw invalidLayer('it has a stream with a name that cannot be one', text)
  return { path, stream }
}

function checkPath(path: string): void {
  if (path.startsWith('/') || /(?:^|\/)\.\.(?:\/|$)/.test(path))
    throw new GraphDriverError('GD_ARCHIVE_BREAKOUT', `Windows layer: '${path}' leads out of the layer`, {
      entry: path,
    })
  for (const part of path.split('/')) {
    if (part === '' || part === '.' || part.length > longestPart || impossible.test(part))
      throw invalidLayer('its name is none that Windows could have', path)
  }
}

function decode(bytes: Buffer): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw invalidLayer('its name is no UTF-8', bytes.toString('latin1'))
  }
}
