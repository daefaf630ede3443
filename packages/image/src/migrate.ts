/** Moving what one driver's stores hold into another's: every layer is registered again from its own tar, under its own DiffID. */
import { TreeWorkers } from '@graphdriver/archive'
import {
  type CallOptions,
  type Change,
  type ChainId,
  type Driver,
  GraphDriverError,
  type Layer,
  type LayerId,
  type LayerRecord,
  type LayerStore,
  type StackedLayer,
  type TarStream,
  type WritableLayer,
  type WritableLayerRecord,
} from '@graphdriver/core'
import type { ImageStore } from './image-store.ts'
import type { ReferenceStore } from './reference-store.ts'

/** The stores of one driver. Those of the source may be open for reading only. */
export interface MigrationSide {
  readonly layers: LayerStore
  readonly images: ImageStore
  readonly references: ReferenceStore
}

/** What is to be moved, and what it will take. */
export interface MigrationPlan {
  readonly images: number
  readonly names: number
  readonly layers: readonly LayerRecord[]
  readonly writable: readonly WritableLayerRecord[]
  /** Bytes that the target will take, as far as the files' sizes tell. */
  readonly bytes: number
  /** What will not be as it was, in words. */
  readonly losses: readonly string[]
}

export interface MigrationProgress {
  readonly kind: 'stack' | 'image' | 'writable'
  /** A ChainID, an image's id, a name. */
  readonly what: string
  readonly done: number
  readonly total: number
}

export interface MigrateOptions extends CallOptions {
  /** Writable layers that an earlier run, which was cut short, has finished; others of their names are made again. */
  readonly finished?: ReadonlySet<string> | undefined
  /** Hears of each writable layer that is whole in the target. */
  readonly onFinished?: ((name: string) => Promise<void>) | undefined
  readonly onProgress?: ((progress: MigrationProgress) => void) | undefined
}

/**
 * Looks at what is there, and changes nothing.
 *
 * @param to of which only the capabilities are asked
 *
 * @throws GD_MIGRATION_REFUSED when the target cannot hold a stack that the source has
 */
export async function planMigration(
  from: MigrationSide,
  to: Driver,
  options: CallOptions = {},
): Promise<MigrationPlan> {
  const layers = from.layers.layers()
  const writable = from.layers.writableLayers()
  requireDepth(from, to, layers, writable)
  const isCopying = to.capabilities.sharing === 'none'
  const byChain = new Map(layers.map((layer) => [layer.chainId, layer]))
  let bytes = layers.reduce((total, { size, diffSize }) => total + (isCopying ? size : diffSize), 0)
  for (const { name, parent } of writable) {
    options.signal?.throwIfAborted()
    const own = await (await from.layers.getRWLayer(name)).size(options)
    const below = parent === undefined ? 0 : (byChain.get(parent)?.size ?? 0)
    // The init layer is a copy too.
    bytes += own + (isCopying ? 2 * below : 0)
  }
  return {
    images: from.images.list().length,
    names: from.references.list().length,
    layers,
    writable,
    bytes,
    losses: lossesOf(from, to, writable),
  }
}

/**
 * Moves everything. What is there already stays, so that it can be done again when it was cut short: layers and images are told by
 * their digests, writable layers by `finished`. The source stays as it is.
 *
 * @throws GD_LAYER_CORRUPT for a layer of the source that is not what was registered, GD_DIGEST_MISMATCH for a writable layer that
 *   did not arrive as it was, GD_MIGRATION_REFUSED, and what registering throws
 */
export async function migrate(
  from: MigrationSide,
  to: MigrationSide,
  options: MigrateOptions = {},
): Promise<void> {
  requireDepth(from, to.layers.driver, from.layers.layers(), from.layers.writableLayers())
  await moveLayers(from.layers, to.layers, options)
  const images = from.images.list()
  for (const [index, { id }] of images.entries()) {
    options.signal?.throwIfAborted()
    await to.images.create(await from.images.configBytes(id))
    for (const name of from.references.namesOf(id)) await to.references.tag(name, id)
    options.onProgress?.({ kind: 'image', what: id, done: index + 1, total: images.length })
  }
  const writable = from.layers.writableLayers()
  for (const [index, record] of writable.entries()) {
    if (options.finished?.has(record.name) !== true) {
      await moveWritable(from.layers, to.layers, record, options)
      await options.onFinished?.(record.name)
    }
    options.onProgress?.({ kind: 'writable', what: record.name, done: index + 1, total: writable.length })
  }
}

function requireDepth(
  from: MigrationSide,
  driver: Driver,
  layers: readonly LayerRecord[],
  writable: readonly WritableLayerRecord[],
): void {
  // A container has a layer of its own, and one for what is put into it.
  const limit = driver.capabilities.maxDepth - 2
  const deepest = layers.reduce((depth, layer) => Math.max(depth, layer.depth), 0)
  const details = { from: from.layers.driver.name, to: driver.name }
  if (deepest > limit) {
    const message = `a layer is ${deepest} deep, and ${driver.name} can have ${limit} and a container; squash the image, or keep ${details.from}`
    throw new GraphDriverError('GD_MIGRATION_REFUSED', message, { ...details, reason: 'depth' })
  }
  const chains = new Set<string>(layers.map(({ chainId }) => chainId))
  const lost = writable.find(({ parent }) => parent !== undefined && !chains.has(parent))
  if (lost === undefined) return
  const message = `writable layer '${lost.name}' stands on ${String(lost.parent)}, which is not there; remove it first`
  throw new GraphDriverError('GD_MIGRATION_REFUSED', message, { ...details, reason: 'damage' })
}

function lossesOf(
  from: MigrationSide,
  to: Driver,
  writable: readonly WritableLayerRecord[],
): readonly string[] {
  const [source, target] = [from.layers.driver.capabilities, to.capabilities]
  const quotas =
    source.quota !== 'none' && writable.length > 0
      ? ['sizes that writable layers are kept to: no driver tells them; set them again']
      : []
  const kept = (what: string, is: boolean): readonly string[] => (is ? [] : [what])
  return [
    ...quotas,
    ...kept('extended attributes', source.xattrs === target.xattrs || target.xattrs === 'all'),
    ...kept('hard links between layers', !source.hardLinks || target.hardLinks),
    ...kept(
      'owners that are not mapped here',
      source.ownership === target.ownership || target.ownership === 'any',
    ),
    ...kept('device nodes', !source.deviceNodes || target.deviceNodes),
    ...kept(
      'times to the nanosecond',
      source.timestamps === target.timestamps || target.timestamps === 'nanoseconds',
    ),
    ...kept('SELinux labels of writable layers', !source.mountLabel || target.mountLabel),
  ]
}

/** Each stack as one: what several have in common is there when the second comes. */
async function moveLayers(from: LayerStore, to: LayerStore, options: MigrateOptions): Promise<void> {
  const records = new Map(from.layers().map((record) => [record.chainId, record]))
  const below = new Set([...records.values()].map(({ parent }) => parent))
  const tops = [...records.values()].filter(({ chainId }) => !below.has(chainId))
  for (const [index, top] of tops.entries()) {
    options.signal?.throwIfAborted()
    const held: Layer[] = []
    const stack: StackedLayer[] = []
    for (let at: ChainId | undefined = top.chainId; at !== undefined; at = records.get(at)?.parent) {
      const layer = await from.get(at)
      held.push(layer)
      stack.unshift({ diffId: layer.diffId, open: (call) => layer.tar(call) })
    }
    // Not released: nobody holds them yet in the target, and whoever lets go deletes.
    await to.registerStack(stack, undefined, { signal: options.signal })
    options.onProgress?.({ kind: 'stack', what: top.chainId, done: index + 1, total: tops.length })
  }
}

async function moveWritable(
  from: LayerStore,
  to: LayerStore,
  record: WritableLayerRecord,
  options: MigrateOptions,
): Promise<void> {
  const { signal } = options
  const { name, parent, initId } = record
  const source = await from.getRWLayer(name)
  if (to.writableLayers().some((other) => other.name === name)) await (await to.getRWLayer(name)).release()
  const base =
    parent === undefined ? undefined : from.layers().find(({ chainId }) => chainId === parent)?.cacheId
  const init = initId === undefined ? undefined : initLike(from, initId, base, signal)
  const target = await to.createRWLayer(name, parent, { init, signal })
  try {
    await target.applyDiff(source.diff({ signal }), { signal })
    await requireSame(source, target, options)
  } catch (error) {
    await target.release()
    throw error
  }
}

/** Puts into the new init layer what is in the old one. */
function initLike(
  from: LayerStore,
  initId: LayerId,
  base: LayerId | undefined,
  signal: AbortSignal | undefined,
): (root: string) => Promise<void> {
  return async (root) => {
    await using workers = new TreeWorkers({ threads: 1 })
    const tar: TarStream = from.driver.diff(initId, base, { signal })
    await workers.apply(root, tar, { whiteouts: 'remove', signal })
  }
}

async function requireSame(
  source: WritableLayer,
  target: WritableLayer,
  options: CallOptions,
): Promise<void> {
  const lines = (changes: readonly Change[]): readonly string[] =>
    changes.map(({ kind, path }) => `${kind} ${String(path)}`).toSorted()
  const [wanted, found] = [lines(await source.changes(options)), lines(await target.changes(options))]
  const different =
    wanted.find((line) => !found.includes(line)) ?? found.find((line) => !wanted.includes(line))
  if (different === undefined) return
  const subject = `writable layer '${source.name}'`
  const message = `${subject} did not arrive as it was: '${different}' differs`
  const [expected, arrived] = [`${wanted.length} changes`, `${found.length} changes`]
  throw new GraphDriverError('GD_DIGEST_MISMATCH', message, { subject, expected, found: arrived })
}
