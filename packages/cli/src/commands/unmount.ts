import { GraphDriverError } from '@graphdriver/core'
import { isClaimed } from '../claim.ts'
import type { Invocation } from '../invocation.ts'
import { writableNotFound } from '../not-found.ts'
import { Session } from '../session.ts'

/** `graphdriver unmount NAME…`: undoes `mount`. What is not mounted is left as it is. */
export async function unmount(invocation: Invocation, names: readonly string[]): Promise<void> {
  await using session = await Session.openExisting(invocation)
  if (session === undefined) throw writableNotFound(names[0] ?? '')
  await session.requireNoDaemon()
  await session.holding(async ({ layers }) => {
    for (const name of names) {
      const { mountId } = await layers.getRWLayer(name)
      if (await isClaimed(session.root, name)) {
        throw new GraphDriverError(
          'GD_LAYER_IN_USE',
          `writable layer '${name}' is in use by a running process; it is unmounted when that ends`,
          { id: name, users: ['graphdriver run'] },
        )
      }
      await session.driver.put(mountId)
    }
  })
  invocation.output.result({ unmounted: names }, () => names.map((name) => `unmounted ${name}\n`).join(''))
}
