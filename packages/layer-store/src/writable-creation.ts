import {
  type ChainId,
  type CreateRWLayerOptions,
  GraphDriverError,
  type LayerId,
  parseLayerId,
  randomLayerId,
  type WritableLayerRecord,
} from '@graphdriver/core'
import type { LayerNode } from './layer-graph.ts'
import { holdExisting } from './layer-lookup.ts'
import { mountDirectory } from './layerdb.ts'
import { mountFiles, mountIdFiles } from './mount-record.ts'
import { readRecordFile } from './record-file.ts'
import { unhold } from './removal.ts'
import type { StoreContext, WritableNode } from './store-context.ts'
import { setAside, Transaction } from './transaction.ts'
import { verifyStack } from './verification.ts'
import { addWritable, findWritable } from './writable-lookup.ts'

/** @throws GD_NAME_CONFLICT, GD_LAYER_NOT_FOUND and what the driver or the init hook throw */
export function createWritable(
  context: StoreContext,
  name: string,
  parent: ChainId | undefined,
  options: CreateRWLayerOptions,
): Promise<WritableNode> {
  return context.records.exclusively(name, async () => {
    await freeName(context, name)
    const below = parent === undefined ? undefined : await holdExisting(context, parent)
    try {
      await verifyStack(context, below, options)
      return await create(context, name, below, options)
    } finally {
      if (below !== undefined) await unhold(context, below)
    }
  })
}

/** A record that names a driver layer is taken, damaged or not: that layer may be somebody's work. */
async function freeName(context: StoreContext, name: string): Promise<void> {
  const directory = mountDirectory(context.layerdb, name)
  if ((await findWritable(context, name)) !== undefined)
    throw conflict(name, 'release it, or choose another name')
  const mountId = await readRecordFile(directory, 'mount-id')
  if (mountId !== undefined && mountId !== '') throw conflict(name, `its record ${directory} is damaged`)
  await setAside(context, directory)
}

function conflict(name: string, remedy: string): GraphDriverError {
  return new GraphDriverError('GD_NAME_CONFLICT', `writable layer '${name}' exists already; ${remedy}`, {
    name,
  })
}

async function create(
  context: StoreContext,
  name: string,
  below: LayerNode | undefined,
  options: CreateRWLayerOptions,
): Promise<WritableNode> {
  const mountId = randomLayerId()
  const initId = options.init === undefined ? undefined : parseLayerId(`${mountId}-init`)
  const record: WritableLayerRecord = { name, mountId, initId, parent: below?.record.chainId }
  const made: readonly LayerId[] = initId === undefined ? [mountId] : [mountId, initId]
  await using transaction = await Transaction.begin(context, made, mountIdFiles(record))
  try {
    await makeLayers(context, record, below?.record.cacheId, options)
    await transaction.write(mountFiles(record.parent))
    const committed = await transaction.commit(mountDirectory(context.layerdb, name), 0o755)
    if (!committed) throw conflict(name, 'another process has just made it')
  } catch (error) {
    await transaction.abandon()
    throw error
  }
  return addWritable(context, { record, parent: below, gone: false, removal: undefined })
}

async function makeLayers(
  { driver }: StoreContext,
  { mountId, initId }: WritableLayerRecord,
  below: LayerId | undefined,
  options: CreateRWLayerOptions,
): Promise<void> {
  const { signal, mountLabel, storageOptions } = options
  if (initId === undefined || options.init === undefined) {
    await driver.createReadWrite(mountId, { parent: below, mountLabel, storageOptions, signal })
    return
  }
  await driver.createReadWrite(initId, { parent: below, mountLabel, storageOptions, signal })
  {
    await using mount = await driver.get(initId, { signal })
    await options.init(mount.path)
  }
  signal?.throwIfAborted()
  // The label is in the files of the init layer already, which this one starts as a copy of.
  await driver.createReadWrite(mountId, { parent: initId, storageOptions, signal })
}
