import type { LayerId, LayerRecord } from '@graphdriver/core'
import { dropDownloads, keptDownloads } from '@graphdriver/image'
import type { Leftover } from '@graphdriver/layer-store'
import type { Invocation } from '../invocation.ts'
import { formatBytes, plural } from '../quantity.ts'
import { Session } from '../session.ts'
import type { Stores } from '../stores.ts'
import { dropUnneeded, unneededLayers } from '../unneeded.ts'
import { downloadsOf } from '../workplace.ts'

export interface GcFlags {
  readonly dryRun?: boolean
  readonly quarantined?: boolean
}

interface Collected {
  readonly leftovers: readonly Leftover[]
  /** Image layers that nobody needs. */
  readonly unneeded: readonly LayerRecord[]
  /** What repairs have replaced. */
  readonly quarantined: readonly LayerId[]
}

const nothing: Collected = { leftovers: [], unneeded: [], quarantined: [] }

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
  const find = async (stores: Stores, sizes: boolean): Promise<Omit<Collected, 'quarantined'>> => ({
    leftovers: [
      ...(await stores.layers.leftovers({ sizes, signal })),
      ...(await stores.images.leftovers()).map((name) => ({
        kind: 'file' as const,
        name,
        reason: 'a file that was not finished',
      })),
      ...(await keptDownloads(downloadsOf(session.root))).map(({ name, bytes }) => ({
        kind: 'file' as const,
        name,
        reason: 'what came of a layer in a pull that was interrupted',
        bytes,
      })),
    ],
    unneeded: await unneededLayers(session.root, stores),
  })
  if (dryRun)
    return await session.holding(async (stores) => ({
      ...(await find(stores, true)),
      quarantined: quarantined ? await stores.layers.quarantined() : [],
    }))
  return await session.collecting(async (stores) => {
    const found = await find(stores, false)
    await dropUnneeded(found.unneeded, stores)
    await stores.layers.collect({ signal })
    await stores.images.collect()
    await dropDownloads(downloadsOf(session.root))
    return { ...found, quarantined: quarantined ? await stores.layers.dropQuarantined({ signal }) : [] }
  })
}

function textOf({ leftovers, unneeded, quarantined }: Collected, dryRun: boolean): string {
  const verb = dryRun ? 'would delete' : 'deleted'
  const lines = [
    ...leftovers.map(({ name, reason, bytes }) => {
      const size = bytes === undefined ? '' : ` (${formatBytes(bytes)})`
      return `${verb} ${name}${size}: ${reason}\n`
    }),
    ...unneeded.map(
      ({ chainId, diffSize }) =>
        `${verb} ${chainId} (${formatBytes(diffSize)}): no image has it, and no container stands on it\n`,
    ),
    ...quarantined.map((id) => `${verb} ${id}: a repair has replaced it\n`),
  ]
  return `${lines.join('')}${plural(lines.length, 'thing')} ${dryRun ? 'to delete' : 'deleted'}\n`
}
