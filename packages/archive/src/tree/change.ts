import { type Change, GraphDriverError } from '@graphdriver/core'

/** A `Change` whose path is bytes, from the tree's root and without a leading slash. */
export interface TreeChange {
  readonly path: Buffer
  readonly kind: Change['kind']
}

/** For people and programs: names that are not UTF-8 come out with replacement characters. */
export function toChange({ path, kind }: TreeChange): Change {
  return { path: `/${path.toString()}`, kind }
}

/**
 * The way back, refused for a path that may have lost bytes: it would name nothing, or another file.
 *
 * @throws GD_ARCHIVE_UNSUPPORTED
 */
export function toTreeChange({ path, kind }: Change): TreeChange {
  if (path.includes('\ufffd')) {
    throw new GraphDriverError(
      'GD_ARCHIVE_UNSUPPORTED',
      `change '${path}': the name is not UTF-8 and cannot be exported by a list of changes; take a whole diff`,
      { entry: path, reason: 'the name is not UTF-8' },
    )
  }
  return { path: Buffer.from(path.replace(/^\/+/, '')), kind }
}

/** The order of lists and archives: by the bytes of the whole path, so that a directory precedes its content. */
export function byPath(a: TreeChange, b: TreeChange): number {
  return a.path.compare(b.path)
}
