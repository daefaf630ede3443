import { createHash } from 'node:crypto'
import path from 'node:path'
import {
  type ChainId,
  type DiffId,
  GraphDriverError,
  type LayerRecord,
  nextChainId,
  parseDiffId,
  randomLayerId,
  type RegisterOptions,
  type TarStream,
} from '@graphdriver/core'
import { holdExisting, holdLayer, holdLocked } from './layer-lookup.ts'
import { layerDirectory, tarSplitName } from './layerdb.ts'
import type { LayerNode } from './layer-graph.ts'
import { layerFiles, type StoredLayer } from './layer-record.ts'
import { unhold } from './removal.ts'
import type { StoreContext } from './store-context.ts'
import { takeIn } from './tar-intake.ts'
import { TarSource } from './tar-source.ts'
import { setAside, Transaction } from './transaction.ts'
import { settleData, verifyStack } from './verification.ts'

/**
 * Adds a tar on top of `parent`, or finds that it is there already.
 *
 * @returns the layer, with a hold that the caller turns into a reference
 */
export async function registerLayer(
  context: StoreContext,
  tar: TarStream,
  parent: ChainId | undefined,
  options: RegisterOptions,
): Promise<LayerNode> {
  await using source = new TarSource(tar, options.signal)
  options.signal?.throwIfAborted()
  const below = parent === undefined ? undefined : await holdExisting(context, parent)
  try {
    const known =
      options.diffId === undefined ? undefined : await holdLayer(context, nextChainId(parent, options.diffId))
    if (known === undefined) return await add(context, source, below, options)
    try {
      requireDigest(options.diffId, await digestOf(source))
      return known
    } catch (error) {
      await unhold(context, known)
      throw error
    }
  } finally {
    if (below !== undefined) await unhold(context, below)
  }
}

async function add(
  context: StoreContext,
  tar: TarStream,
  below: LayerNode | undefined,
  options: RegisterOptions,
): Promise<LayerNode> {
  requireDepth(context, below?.record)
  const { driver } = context
  const { signal } = options
  const parent = below?.record
  await verifyStack(context, below, { signal })
  const cacheId = randomLayerId()
  await using transaction = await Transaction.begin(context, [cacheId], { 'cache-id': cacheId })
  try {
    await driver.create(cacheId, { parent: parent?.cacheId, signal })
    const { diffId, diffSize } = await takeIn(tar, {
      limits: context.limits,
      recipe: path.join(transaction.directory, tarSplitName),
      isFlushed: context.durability !== 'volatile',
      apply: (passed) => driver.applyDiff(cacheId, parent?.cacheId, passed, { signal }),
    })
    requireDigest(options.diffId, diffId)
    const chainId = nextChainId(parent?.chainId, diffId)
    const stored: StoredLayer = { chainId, diffId, parent: parent?.chainId, cacheId, diffSize }
    await transaction.write(layerFiles(stored))
    await settleData(context, [chainId], [driver.home])
    signal?.throwIfAborted()
    const node = await publish(context, transaction, stored, below)
    if (node.record.cacheId !== cacheId) await transaction.abandon()
    return node
  } catch (error) {
    await transaction.abandon()
    throw error
  }
}

/** Tries until either the record has its name, or another whole record does. */
export function publish(
  context: StoreContext,
  transaction: Transaction,
  stored: StoredLayer,
  below: LayerNode | undefined,
): Promise<LayerNode> {
  const { graph, layerdb, records } = context
  const directory = layerDirectory(layerdb, stored.chainId)
  return records.exclusively(stored.chainId, async () => {
    for (;;) {
      const existing = await holdLocked(context, stored.chainId)
      if (existing !== undefined) return existing
      await setAside(context, directory)
      if (!(await transaction.commit(directory, 0o700))) continue
      const node = graph.add(stored, below)
      node.holds += 1
      return node
    }
  })
}

/** Reads a tar that is there already to its end, because the caller counts on its being what was promised. */
async function digestOf(tar: TarStream): Promise<DiffId> {
  const hash = createHash('sha256')
  for await (const chunk of tar) hash.update(chunk)
  return parseDiffId(`sha256:${hash.digest('hex')}`)
}

export function requireDigest(expected: DiffId | undefined, found: DiffId): void {
  if (expected === undefined || expected === found) return
  const message = `layer ${expected} arrived as ${found}; its source is damaged, fetch it again`
  throw new GraphDriverError('GD_DIGEST_MISMATCH', message, { subject: 'layer', expected, found })
}

/** A container needs two layers more: its own, and the init layer. */
const reservedDepth = 2

/** @param below what is to have a layer on top */
export function requireDepth(
  { driver }: StoreContext,
  below: Pick<LayerRecord, 'chainId' | 'depth'> | undefined,
): void {
  if (below === undefined) return
  const { chainId, depth } = below
  const limit = driver.capabilities.maxDepth - reservedDepth
  if (depth < limit) return
  const message = `layer ${chainId} is ${depth} layers deep, and ${driver.name} can mount ${limit} and a container; squash some`
  throw new GraphDriverError('GD_MAX_DEPTH', message, { id: chainId, depth: depth + 1, limit })
}
