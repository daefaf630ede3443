import { GraphDriverError, type WritableLayer } from '@graphdriver/core'
import { isClaimed } from './claim.ts'
import { mountedAt } from './mounted-at.ts'

/**
 * @param force takes one that is mounted for unused, but never one that runs
 * @throws GD_LAYER_IN_USE
 */
export async function requireUnused(layer: WritableLayer, root: string, force = false): Promise<void> {
  const { name } = layer
  if (await isClaimed(root, name)) {
    throw new GraphDriverError(
      'GD_LAYER_IN_USE',
      `writable layer '${name}' is in use by a running process; end it`,
      {
        id: name,
        users: ['graphdriver run'],
      },
    )
  }
  const place = force ? undefined : await mountedAt(layer)
  if (place === undefined) return
  throw new GraphDriverError(
    'GD_LAYER_IN_USE',
    `writable layer '${name}' is mounted at ${place}; graphdriver unmount ${name} first, or rm --force`,
    { id: name, users: [place] },
  )
}
