import { GraphDriverError } from '@graphdriver/core'

/** Said to whoever brought something else. */
export const acceptedFormats =
  'a docker save archive, an OCI image layout directory, or a tar of one (plain, gzip or zstd)'

/** A source that cannot be used as an image; `reason` goes on where the path ends. */
export function invalidImage(
  source: string,
  reason: string,
  cause?: unknown,
): GraphDriverError<'GD_IMAGE_INVALID'> {
  const options = cause === undefined ? undefined : { cause }
  return new GraphDriverError('GD_IMAGE_INVALID', `image '${source}' ${reason}`, { source }, options)
}
