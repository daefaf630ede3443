import type { ChainId, DiffId, StackedLayer } from '@graphdriver/core'
import { type ImageSource, layerOpeners, openRegistrySource } from '@graphdriver/image'
import type { Finding, Repaired } from '@graphdriver/layer-store'
import { UsageError } from '../failure.ts'
import { openSources } from '../image-loading.ts'
import type { Invocation } from '../invocation.ts'
import { requireUnused } from '../require-unused.ts'
import { plural, shortDigest } from '../quantity.ts'
import { Resources } from '../resources.ts'
import { requirePrivileges, Session } from '../session.ts'
import type { Stores } from '../stores.ts'

export interface RepairFlags {
  /** Files with images, as for `load`. */
  readonly from?: readonly string[]
  /** Images of registries, as for `pull`. */
  readonly pull?: readonly string[]
  readonly plainHttp?: boolean
}

interface Outcome extends Repaired {
  /** What is still not as it should be. */
  readonly findings: readonly Finding[]
}

const sound: Outcome = { layers: [], writable: [], missing: [], quarantine: undefined, findings: [] }

/** `graphdriver repair --from FILE… --pull IMAGE…`. @returns the exit code: 1 when something is damaged still */
export async function repair(
  invocation: Invocation,
  { from = [], pull = [], plainHttp }: RepairFlags,
): Promise<number> {
  if (from.length + pull.length === 0)
    throw new UsageError('repair needs --from, a file with the image, or --pull, its name in a registry')
  await requirePrivileges(invocation)
  await using opened = await openSources(from, invocation)
  await using open = new Resources()
  const { signal } = invocation
  const pulled: ImageSource[] = []
  for (const name of pull) pulled.push(open.use(await openRegistrySource(name, { plainHttp, signal })))
  const openers = new Map<DiffId, StackedLayer['open']>()
  for (const source of [...opened.sources, ...pulled])
    for (const [diffId, open] of await layerOpeners(source, { signal })) openers.set(diffId, open)
  await using session = await Session.openExisting(invocation)
  const outcome = session === undefined ? sound : await mend(session, invocation, openers)
  invocation.output.result({ driver: session?.driver.name, ...outcome }, () => textOf(outcome))
  return outcome.findings.some(({ kind }) => kind === 'damage') ? 1 : 0
}

async function mend(
  session: Session,
  { log, settings, signal }: Invocation,
  openers: ReadonlyMap<DiffId, StackedLayer['open']>,
): Promise<Outcome> {
  const repaired = await session.changing(async (stores) => {
    const damaged = layersOf(await damageOf(stores, signal))
    log.info(`${plural(damaged.length, 'layer')} damaged`)
    return await stores.layers.repair({
      damaged,
      source: (diffId) => openers.get(diffId),
      requireUnused: async (name) => requireUnused(await stores.layers.getRWLayer(name), settings.root),
      onLayer: ({ chainId }) => log.info(`layer ${chainId} is made again`),
      signal,
    })
  })
  // As anybody would find it now.
  const findings = await session.holding((stores) => damageOf(stores, signal))
  return { ...repaired, findings }
}

async function damageOf({ layers }: Stores, signal: AbortSignal): Promise<readonly Finding[]> {
  const found = [
    ...(await Array.fromAsync(layers.checkRecords({ signal }))),
    ...(await Array.fromAsync(layers.checkContents({ signal }))),
  ]
  return found.filter(({ kind }) => kind === 'damage')
}

function layersOf(findings: readonly Finding[]): readonly ChainId[] {
  return [...new Set(findings.flatMap(({ layer }) => layer ?? []))]
}

function textOf({ layers, writable, missing, quarantine, findings }: Outcome): string {
  const again = [
    plural(layers.length, 'layer'),
    ...(writable.length > 0 ? [plural(writable.length, 'writable layer')] : []),
  ]
  const lines = [
    ...missing.map((diffId) => `layer ${shortDigest(diffId)} is damaged, and in none of the files\n`),
    ...findings.map(({ object, remedy }) => `${object} is still damaged; ${remedy}\n`),
    layers.length === 0 ? 'nothing was repaired\n' : `made ${again.join(' and ')} again\n`,
    ...(quarantine === undefined ? [] : [`what was replaced is kept until: graphdriver gc --quarantined\n`]),
  ]
  return lines.join('')
}
