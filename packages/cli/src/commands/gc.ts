import type { LayerId } from '@graphdriver/core'
import type { Leftover } from '@graphdriver/layer-store'
import type { Invocation } from '../invocation.ts'
import { formatBytes, plural } from '../quantity.ts'
import { Session } from '../session.ts'

export interface GcFlags {
  readonly dryRun?: boolean
  readonly quarantined?: boolean
}

interface Collected {
  readonly leftovers: readonly Leftover[]
  /** What repairs have replaced. */
  readonly quarantined: readonly LayerId[]
}

const nothing: Collected = { leftovers: [], quarantined: [] }

/** `graphdriver gc`: deletes what nobody can need; with `--dry-run` it only tells of it. */
export async function gc(invocation: Invocation, flags: GcFlags): Promise<void> {
  const { dryRun = false } = flags
  await using session = await Session.openExisting(invocation)
  const collected = session === undefined ? nothing : await collect(session, invocation, flags)
  invocation.output.result({ driver: session?.driver.name, dryRun, ...collected }, () =>
    textOf(collected, dryRun),
  )
}

async function collect(
  session: Session,
  { signal }: Invocation,
  { dryRun = false, quarantined = false }: GcFlags,
): Promise<Collected> {
  if (dryRun)
    return await session.holding(async ({ layers }) => ({
      leftovers: await layers.leftovers({ sizes: true, signal }),
      quarantined: quarantined ? await layers.quarantined() : [],
    }))
  const leftovers = await session.collecting()
  if (!quarantined) return { leftovers, quarantined: [] }
  return {
    leftovers,
    quarantined: await session.changing(({ layers }) => layers.dropQuarantined({ signal })),
  }
}

function textOf({ leftovers, quarantined }: Collected, dryRun: boolean): string {
  const verb = dryRun ? 'would delete' : 'deleted'
  const lines = [
    ...leftovers.map(({ name, reason, bytes }) => {
      const size = bytes === undefined ? '' : ` (${formatBytes(bytes)})`
      return `${verb} ${name}${size}: ${reason}\n`
    }),
    ...quarantined.map((id) => `${verb} ${id}: a repair has replaced it\n`),
  ]
  return `${lines.join('')}${plural(lines.length, 'thing')} ${dryRun ? 'to delete' : 'deleted'}\n`
}
