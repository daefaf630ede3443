import { GraphDriverError, type WritableLayer } from '@graphdriver/core'
import { isClaimed } from '../claim.ts'
import type { Invocation } from '../invocation.ts'
import { writableNotFound } from '../not-found.ts'
import { Session } from '../session.ts'
import { mountedAt } from '../mounted-at.ts'

export interface RmFlags {
  readonly force?: boolean
}

/** `graphdriver rm NAME…`: deletes writable layers. One that runs is never deleted, a mounted one only by force. */
export async function rm(invocation: Invocation, names: readonly string[], flags: RmFlags): Promise<void> {
  await using session = await Session.openExisting(invocation)
  if (session === undefined) throw writableNotFound(names[0] ?? '')
  await session.changing(async ({ layers }) => {
    const found: WritableLayer[] = []
    for (const name of names) {
      const layer = await layers.getRWLayer(name)
      await requireUnused(layer, invocation.settings.root, flags.force ?? false)
      found.push(layer)
    }
    for (const layer of found) await layer.release()
  })
  invocation.output.result({ removed: names }, () => names.map((name) => `removed ${name}\n`).join(''))
}

async function requireUnused(layer: WritableLayer, root: string, force: boolean): Promise<void> {
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
