import type { MigrationPlan } from '@graphdriver/image'
import { lockStore } from '@graphdriver/layer-store'
import { UsageError } from '../failure.ts'
import type { Invocation } from '../invocation.ts'
import { carryOver } from '../migration/carry-over.ts'
import { finishAll } from '../migration/finish.ts'
import { requireMovable } from '../migration/left-behind.ts'
import { planFor, requireSpace } from '../migration/plan.ts'
import { openSide } from '../migration/side.ts'
import { formatBytes, plural } from '../quantity.ts'
import { requireUnused } from '../require-unused.ts'
import { Resources } from '../resources.ts'
import { tidyWorkplace } from '../workplace.ts'
import { requirePrivileges, requireReadable, requireWritable } from '../session.ts'

export interface MigrateFlags {
  readonly from?: string
  readonly to?: string
  readonly dryRun?: boolean
  readonly finish?: boolean
}

/** `graphdriver migrate --from DRIVER --to DRIVER [--dry-run]`, then `graphdriver migrate --finish`. */
export async function migrate(invocation: Invocation, flags: MigrateFlags): Promise<void> {
  const { from, to, dryRun = false, finish = false } = flags
  await requirePrivileges(invocation)
  await requireReadable(invocation.settings.root)
  if (!dryRun) requireWritable(invocation.settings)
  if (finish) {
    if (from !== undefined || to !== undefined || dryRun)
      throw new UsageError('--finish goes alone: what was moved is known')
    await finishAll(invocation)
    return
  }
  if (from === undefined || to === undefined)
    throw new UsageError('migrate needs --from and --to, each a driver; or --finish')
  await moveAll(invocation, from, to, dryRun)
}

async function moveAll(invocation: Invocation, from: string, to: string, dryRun: boolean): Promise<void> {
  const { settings, signal, output, log } = invocation
  const { root } = settings
  await requireMovable(root, from, to)
  await using open = new Resources()
  open.use(await lockStore(root, 'exclusive', { signal }))
  await tidyWorkplace(root)
  const source = await openSide(invocation, open, from, true)
  const plan = await planFor(invocation, source, to)
  requireSpace(root, plan)
  for (const { name } of plan.writable) await requireUnused(await source.stores.layers.getRWLayer(name), root)
  if (!dryRun) {
    for (const loss of plan.losses) log.warn(`not carried over: ${loss}`)
    await carryOver(invocation, source.stores, to)
  }
  output.result({ from, to, dryRun, ...summaryOf(plan) }, () => textOf(plan, from, to, dryRun))
}

interface Summary {
  readonly images: number
  readonly names: number
  readonly layers: number
  readonly writable: readonly string[]
  readonly bytes: number
  readonly losses: readonly string[]
}

function summaryOf({ images, names, layers, writable, bytes, losses }: MigrationPlan): Summary {
  return { images, names, layers: layers.length, writable: writable.map(({ name }) => name), bytes, losses }
}

function textOf(plan: MigrationPlan, from: string, to: string, dryRun: boolean): string {
  const { images, layers, writable, bytes, losses } = plan
  const what = [
    plural(images, 'image'),
    plural(layers.length, 'layer'),
    plural(writable.length, 'writable layer'),
  ].join(', ')
  const lines = losses.map((loss) => `not carried over: ${loss}\n`).join('')
  if (dryRun)
    return `${lines}would move ${what} from ${from} to ${to}, which takes about ${formatBytes(bytes)}\n`
  return `moved ${what} from ${from} to ${to}\nwhat ${from} held is kept until: graphdriver migrate --finish\n`
}
