import { type Change, GraphDriverError } from '@graphdriver/core'
import { pathBytes, pathText } from './path-text.ts'

/** A `Change` whose path is bytes, from the tree's root and without a leading slash. */
export interface TreeChange {
  readonly path: Buffer
  readonly kind: Change['kind']
}

export function toChange({ path, kind }: TreeChange): Change {
  return { path: `/${pathText(path)}`, kind }
}

/**
 * The way back, refused for a path that lost bytes on a way through UTF-8: it would name nothing, or another file.
 *
 * @throws GD_ARCHIVE_UNSUPPORTED
 */
export function toTreeChange({ path, kind }: Change): TreeChange {
  const bytes = pathBytes(path.replace(/^\/+/, ''))
  if (bytes !== undefined) return { path: bytes, kind }
  throw new GraphDriverError(
    'GD_ARCHIVE_UNSUPPORTED',
    `change '${path}': the name is not UTF-8 and lost bytes on its way here; export the whole difference instead`,
    { entry: path, reason: 'the name lost bytes' },
  )
}

/** The order of lists and archives: by the bytes of the whole path, so that a directory precedes its content. */
export function byPath(a: TreeChange, b: TreeChange): number {
  return a.path.compare(b.path)
}
