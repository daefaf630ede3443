import { GraphDriverError } from '@graphdriver/core'

export function imageNotFound(reference: string): GraphDriverError<'GD_IMAGE_NOT_FOUND'> {
  return new GraphDriverError(
    'GD_IMAGE_NOT_FOUND',
    `image '${reference}' is not here, nor a file of that name; load it first`,
    { reference },
  )
}

export function writableNotFound(name: string): GraphDriverError<'GD_WRITABLE_LAYER_NOT_FOUND'> {
  return new GraphDriverError(
    'GD_WRITABLE_LAYER_NOT_FOUND',
    `writable layer '${name}' is not here; graphdriver info lists them`,
    { name },
  )
}
