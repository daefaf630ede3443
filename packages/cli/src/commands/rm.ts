import type { WritableLayer } from '@graphdriver/core'
import type { Invocation } from '../invocation.ts'
import { writableNotFound } from '../not-found.ts'
import { Session } from '../session.ts'
import { requireUnused } from '../require-unused.ts'

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
