import type { Change } from '@graphdriver/core'
import type { Invocation } from '../invocation.ts'
import { writableNotFound } from '../not-found.ts'
import { Session } from '../session.ts'

const letter: Readonly<Record<Change['kind'], string>> = { add: 'A', modify: 'C', delete: 'D' }

/** `graphdriver changes NAME`: what was written to a writable layer. */
export async function changes(invocation: Invocation, name: string): Promise<void> {
  await using session = await Session.openExisting(invocation)
  if (session === undefined) throw writableNotFound(name)
  const { signal } = invocation
  const found = await session.holding(async (stores) => {
    const writable = await stores.layers.getRWLayer(name)
    return writable.changes({ signal })
  })
  invocation.output.result({ changes: found }, () =>
    found.map(({ kind, path }) => `${letter[kind]} ${path}\n`).join(''),
  )
}
